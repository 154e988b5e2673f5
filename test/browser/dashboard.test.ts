import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { createSetupLink } from "../../src/identity/setup.ts";
import { parseId } from "../../src/platform/ids.ts";
import { eventually, login } from "../support/server.ts";
import { chromiumPath, openBrowser } from "./chromium.ts";
import { addPerson, type Dashboard, signIn, startDashboard, watchFaults } from "./dashboard.ts";
import { pagesOf, type Seeded, seed } from "./seed.ts";

const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
/** What is folded away is looked at too. */
const OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })";
/** By how many pixels the page or a table in it is wider than there is room. */
const MOST_OVER =
  "Math.max(...[document.documentElement, ...document.querySelectorAll('.table')].map((each) => each.scrollWidth - each.clientWidth))";
const PATIENCE_MS = 60_000;
/** Who sets the server up. */
const ADA = { email: "ada@example.com", password: "correct horse battery staple" };

const contexts: BrowserContext[] = [];
let browser: Browser;
let faults: string[] = [];

async function openPage(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(15_000);
  contexts.push(context);
  faults = watchFaults(context);
  return context.newPage();
}

/** Says so when there is no browser to test with: these tests are then skipped, and not passed. */
describe.skipIf(chromiumPath === null)("the dashboard in Chromium", () => {
  beforeAll(async () => {
    browser = await openBrowser();
  }, PATIENCE_MS);
  afterAll(() => browser?.close());
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(faults.splice(0)).toEqual([]);
  });

  describe("from nothing", () => {
    let dashboard: Dashboard;
    beforeAll(async () => {
      dashboard = await startDashboard({ ADMIN_EMAIL: "", ADMIN_PASSWORD: "" });
    }, PATIENCE_MS);
    afterAll(() => dashboard?.stop(), PATIENCE_MS);

    test(
      "set-up by link, a first watch by clicking, and its webhook seen in play",
      async () => {
        const { server, database } = dashboard;
        const page = await openPage();
        const token = await createSetupLink(database);
        await page.goto(`${server.url}/setup?token=${token}`);
        await page.getByLabel("Email").fill(ADA.email);
        await page.getByLabel("Password").fill(ADA.password);
        await page.getByRole("button", { name: "Create the account" }).click();
        await page.getByRole("heading", { name: "Overview" }).waitFor();

        await page.getByText("Nothing was polled in this time.").first().waitFor();

        await page.getByRole("link", { name: "Create a watch" }).click();
        await page.getByRole("link", { name: "Take the built-in sample" }).click();
        await page.getByRole("button", { name: "Try it" }).click();
        await page.getByRole("button", { name: /^"(pending|paid|shipped)"$/ }).click();
        expect(await page.getByLabel("Fields", { exact: true }).inputValue()).toBe("status = $.order.status");
        expect(await page.getByLabel("The built-in receiver").isChecked()).toBe(true);
        await page.getByRole("button", { name: "Save the watch" }).click();
        await page.getByText("Created.").waitFor();

        await page.getByRole("link", { name: "Play", exact: true }).first().click();
        const first = page.locator("#received details").last();
        await first.getByText("sample.order.changed").first().waitFor();
        await first.getByText("signature verified").waitFor();
        expect(await first.textContent()).toMatch(
          /"field": "status",\s+"path": "\$.order.status",\s+"kind": "changed"/,
        );
      },
      PATIENCE_MS,
    );

    test(
      "a watch of a real source sends its first change to a real receiver",
      async () => {
        const { server, source, receiver } = dashboard;
        const page = await openPage();
        await signIn(page, server, ADA);
        await page.goto(`${server.url}/watches/new`);
        await page.getByLabel("Address or curl command").fill(source.url);
        await page.getByLabel("How often").fill("1s");
        await page.getByRole("button", { name: "Try it" }).click();
        await page.getByRole("button", { name: '"pending"' }).click();
        await page.getByLabel("Or a new endpoint").fill(receiver.url);
        await page.getByRole("button", { name: "Save the watch" }).click();
        await page.getByText("Created.").waitFor();
        await eventually(
          () => page.reload().then(() => page.getByText("baseline").count()),
          (n) => n > 0,
        );

        source.document = { order: { id: 42, status: "paid", total: 19.99 } };
        await eventually(
          async () => receiver.received,
          (received) => received.length > 0,
        );
        expect(JSON.parse(receiver.received[0]?.body ?? "")).toMatchObject({
          type: "watch.changed",
          data: { changes: [{ field: "status", previous: "pending", current: "paid" }] },
        });
        await page.goto(`${server.url}/deliveries`);
        await page.getByRole("link", { name: "watch.changed" }).first().click();
        await page.getByText("thank you").waitFor();
        await page.goto(server.url);
        for (const kind of ["deliveries", "latency", "polls", "lag"]) {
          await page.locator(`[data-plot="${kind}"] canvas`).waitFor();
        }
      },
      PATIENCE_MS,
    );
  });

  describe("at work", () => {
    let dashboard: Dashboard;
    let seeded: Seeded;
    beforeAll(async () => {
      dashboard = await startDashboard();
      seeded = await seed(dashboard);
    }, PATIENCE_MS);
    afterAll(() => dashboard?.stop(), PATIENCE_MS);

    test("who is not signed in signs in and comes to the page that was asked for, and to no other server", async () => {
      const { server } = dashboard;
      const page = await openPage();
      const answer = await page.goto(`${server.url}/events?type=order.paid`);
      expect(answer?.status()).toBe(401);
      await page.getByLabel("Email").fill("admin@example.com");
      await page.getByLabel("Password").fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("Email or password is wrong").waitFor();
      await page.getByLabel("Password").fill("correct horse battery staple");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.waitForURL(`${server.url}/events?type=order.paid`);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.goto(`${server.url}/sign-in?to=//elsewhere.example`);
      await signInHere(page);
      expect(page.url()).toBe(`${server.url}/`);
    });

    test(
      "an endpoint that fails, its dead letter, and its replay when it is back",
      async () => {
        const { server, receiver } = dashboard;
        const page = await openPage();
        await signIn(page, server);
        receiver.status = 500;
        await page.goto(`${server.url}/endpoints/new`);
        await page.getByLabel("URL").fill(receiver.url);
        await page.getByLabel("Name", { exact: true }).fill("Shaky");
        await page.getByLabel("Event types").fill("shaky.*");
        await page.getByRole("button", { name: "Create the endpoint" }).click();
        await page.getByRole("heading", { name: "Shaky" }).waitFor();

        const api = await login(server);
        await api.call("POST", "/v1/events", { type: "shaky.one", data: { n: 1 } });
        await eventually(
          () => page.goto(`${server.url}/dead-letters?type=shaky.one`).then(() => page.locator(".chosen").count()),
          (n) => n === 1,
        );
        receiver.status = 200;
        await page.getByRole("link", { name: "shaky.one" }).click();
        await page.getByRole("button", { name: "Send it again" }).click();
        await page.waitForURL(/\/deliveries\/dlv_/);
        await eventually(
          () => page.reload().then(() => page.getByText("delivered").count()),
          (n) => n > 0,
        );
        expect(await page.locator("details.sheet").count()).toBe(4);
      },
      PATIENCE_MS,
    );

    test("the live log shows a webhook, holds what comes during a pause, and filters", async () => {
      const { server } = dashboard;
      const page = await openPage();
      await signIn(page, server);
      await page.goto(`${server.url}/live?show=deliveries`);
      await page.locator("#stream-state").getByText("live", { exact: true }).waitFor();
      const api = await login(server);
      await api.call("POST", `/v1/endpoints/${seeded.healthy}/test`);
      await page.locator(".log li", { hasText: "test.ping" }).waitFor();

      await page.getByRole("button", { name: "Pause" }).click();
      const before = await page.locator(".log li").count();
      await api.call("POST", `/v1/endpoints/${seeded.healthy}/test`);
      await Bun.sleep(1_000);
      expect(await page.locator(".log li").count()).toBe(before);
      await page.getByRole("button", { name: "Go on" }).click();
      await page.locator(".log li").nth(before).waitFor();
      expect(await page.locator(".log li", { hasText: "poll" }).count()).toBe(0);
    });

    test(
      "the live log shows a poll within a second of its being recorded",
      async () => {
        const { server } = dashboard;
        const page = await openPage();
        await signIn(page, server);
        await page.goto(`${server.url}/live?show=polls`);
        await page.locator("#stream-state").getByText("live", { exact: true }).waitFor();
        const api = await login(server);
        // A busy machine may be late once; the page may not be late as a rule.
        const lateness: number[] = [];
        while (lateness.length < 3 && Math.min(...lateness, Number.POSITIVE_INFINITY) >= 1_000) {
          const { body: poll } = await api.call<Poll>("POST", `/v1/watches/${seeded.list}/poll`);
          const recordedAt = Date.parse(poll.at) + poll.ms;
          lateness.push((await shownAt(page, `live-${parseId("poll", poll.id)}`)) - recordedAt);
        }
        expect(Math.min(...lateness)).toBeLessThan(1_000);
      },
      PATIENCE_MS,
    );

    test("a viewer sees everything and finds nothing to press, and is refused when trying", async () => {
      const { server } = dashboard;
      const viewer = await addPerson(server, "viewer");
      const page = await openPage();
      await signIn(page, server, viewer);
      for (const path of [`/endpoints/${seeded.healthy}`, `/watches/${seeded.watch}`, `/dead-letters/${seeded.dead}`]) {
        const answer = await page.goto(server.url + path);
        expect([path, answer?.status()]).toEqual([path, 200]);
        expect([path, await page.locator("main form[method=post] button").count()]).toEqual([path, 0]);
      }
      for (const path of ["/people", "/endpoints/new", "/settings", `/endpoints/${seeded.healthy}/edit`]) {
        expect([path, (await page.goto(server.url + path))?.status()]).toEqual([path, 403]);
      }
      expect(await page.getByText("Ask an admin").count()).toBe(1);
    });

    test("a list in a reply is watched with one click, and a value is taken out again with another", async () => {
      const { server, source } = dashboard;
      const page = await openPage();
      await signIn(page, server);
      await page.goto(`${server.url}/watches/new`);
      await page
        .getByLabel("Address or curl command")
        .fill(`curl '${source.url}' -H 'Authorization: Bearer hidden-token'`);
      await page.getByRole("button", { name: "Try it" }).click();
      await page.getByRole("button", { name: "Watch this list" }).click();
      expect(await page.getByLabel("Elements", { exact: true }).inputValue()).toBe("$.orders[*]");
      expect(await page.getByLabel("Key", { exact: true }).inputValue()).toBe("$.id");
      expect(await page.getByLabel("Fields of each element").inputValue()).toBe("status = $.status");
      const value = page.getByRole("button", { name: '"paid"' });
      await value.click();
      expect(await value.getAttribute("aria-pressed")).toBe("true");
      await value.click();
      expect(await page.getByLabel("Fields", { exact: true }).inputValue()).toBe("");
      await page.getByRole("button", { name: "Try it" }).click();
      await page.getByText("element was found in the list").waitFor();
      expect(await page.content()).not.toContain("hidden-token");
    });

    test("a watch is edited where it was made: another value is tried, clicked and saved", async () => {
      const { server } = dashboard;
      const page = await openPage();
      await signIn(page, server);
      await page.goto(`${server.url}/watches/${seeded.list}`);
      await page.getByRole("link", { name: "Edit" }).click();
      expect(await page.getByLabel("Elements", { exact: true }).inputValue()).toBe("$.orders[*]");
      expect(await page.getByLabel("Where the next one stands").isVisible()).toBe(false);
      await page.getByLabel("Pages", { exact: true }).selectOption("cursor");
      expect(await page.getByLabel("Where the next one stands").isVisible()).toBe(true);
      await page.getByLabel("Pages", { exact: true }).selectOption("");
      await page.getByRole("button", { name: "Try it" }).click();
      await page.getByRole("button", { name: "42", exact: true }).click();
      await page.getByRole("button", { name: "Save the changes" }).click();
      await page.getByText("Saved.").waitFor();
      await page.getByText("id = $.order.id").waitFor();
    });

    test("without JavaScript: a filter, a form and a button do what they say", async () => {
      const { server, nobody } = dashboard;
      const page = await openPage({ javaScriptEnabled: false });
      await signIn(page, server);
      await page.goto(`${server.url}/deliveries`);
      await page.getByLabel("Status").selectOption("dead");
      await page.getByRole("button", { name: "Filter" }).click();
      expect(new URL(page.url()).searchParams.get("status")).toBe("dead");
      await page.goto(`${server.url}/endpoints/new`);
      await page.getByLabel("URL").fill(nobody);
      await page.getByRole("button", { name: "Create the endpoint" }).click();
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText("paused: manual").waitFor();
      await page.getByText("Delete…").click();
      await page.getByRole("button", { name: "Delete the endpoint" }).click();
      await page.getByText("Deleted.").waitFor();
    });

    test("by keyboard alone: the first key skips to the content, and a watch is paused", async () => {
      const { server } = dashboard;
      const page = await openPage();
      await signIn(page, server);
      await page.goto(`${server.url}/watches/${seeded.list}`);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      expect(await page.evaluate("document.activeElement.id")).toBe("content");
      const pause = page.getByRole("button", { name: "Pause" });
      for (let n = 0; n < 20 && !(await isFocused(pause)); n++) await page.keyboard.press("Tab");
      expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
      await page.keyboard.press("Enter");
      await page.getByText("Paused: it is not polled any more.").waitFor();
    });

    for (const colorScheme of ["light", "dark"] as const) {
      test(
        `no page has a serious fault of accessibility: ${colorScheme}`,
        async () => {
          const { server } = dashboard;
          const page = await openPage({ colorScheme, reducedMotion: "reduce" });
          const found: string[] = [];
          await page.goto(`${server.url}/sign-in`);
          found.push(...(await seriousFaults(page, "sign-in")));
          await signIn(page, server);
          for (const [name, path] of Object.entries(pagesOf(seeded))) {
            await page.goto(server.url + path);
            if (name === "live") await page.locator(".log li").first().waitFor();
            await page.evaluate(OPEN_ALL);
            found.push(...(await seriousFaults(page, name)));
          }
          expect(found).toEqual([]);
        },
        2 * PATIENCE_MS,
      );
    }

    test(
      "no page is wider than the window, and no table than its frame, at 360 px and at 1280, however long a name is",
      async () => {
        const { server } = dashboard;
        const page = await openPage();
        await signIn(page, server);
        const wide: string[] = [];
        for (const [name, path] of Object.entries(pagesOf(seeded))) {
          await page.goto(server.url + path);
          if (name === "live") await page.locator(".log li").first().waitFor();
          await page.evaluate(OPEN_ALL);
          for (const width of [1280, 360]) {
            await page.setViewportSize({ width, height: 740 });
            const over = await page.evaluate(MOST_OVER);
            if (Number(over) > 0) wide.push(`${name} at ${width} px by ${over} px`);
          }
        }
        expect(wide).toEqual([]);
      },
      2 * PATIENCE_MS,
    );

    test(
      "many dead letters are sent again with a count before and progress after",
      async () => {
        const { server } = dashboard;
        const page = await openPage();
        await signIn(page, server);
        await page.goto(`${server.url}/dead-letters?endpoint=${seeded.failing}`);
        await page.getByRole("link", { name: "Send all of these again" }).click();
        await page.getByText("2 deliveries fit the filters").waitFor();
        await page.getByRole("button", { name: "Send 2 again" }).click();
        await page.getByText("2 of 2 owed again").waitFor();
        await page.locator("#progress").getByText("done").waitFor();
      },
      PATIENCE_MS,
    );
  });
});

async function signInHere(page: Page): Promise<void> {
  await page.getByLabel("Email").fill("admin@example.com");
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** When an element with an id is there, as the page's own clock says: milliseconds since 1970. */
async function shownAt(page: Page, id: string): Promise<number> {
  const look = `document.getElementById("${id}") ? resolve(Date.now()) : requestAnimationFrame(look)`;
  return Number(await page.evaluate(`new Promise((resolve) => { const look = () => ${look}; look(); })`));
}

function isFocused(locator: ReturnType<Page["getByRole"]>): Promise<boolean> {
  return locator.evaluate((element) => element === element.ownerDocument.activeElement);
}

type Poll = { id: string; at: string; ms: number };
type AxeResult = { violations: { id: string; impact: string; nodes: { html: string }[] }[] };

/** By `evaluate`, since the policy of the pages lets no script tag be added. */
async function seriousFaults(page: Page, name: string): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate("axe.run()")) as AxeResult;
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}
