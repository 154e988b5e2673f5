import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { chromiumPath, openBrowser } from "./chromium.ts";
import { signIn, startDashboard } from "./dashboard.ts";
import { pagesOf, seed } from "./seed.ts";

/** Writes every page, light, dark and 360 px wide, into ./screenshots: to be looked at by people. */
const FOLDER = fileURLToPath(new URL("../../screenshots/", import.meta.url));
const LOOKS = [
  { look: "light", colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { look: "dark", colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  { look: "narrow", colorScheme: "light", viewport: { width: 360, height: 740 } },
] as const;

if (chromiumPath === null) {
  console.error("There is no Chromium here: install it, or name it in DELTAHOOK_TEST_CHROMIUM.");
  process.exit(1);
}

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const dashboard = await startDashboard();
const browser = await openBrowser();
try {
  const pages = pagesOf(await seed(dashboard));
  for (const { look, colorScheme, viewport } of LOOKS) {
    const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
    const page = await context.newPage();
    await page.goto(`${dashboard.server.url}/sign-in`);
    await take(page, `sign-in-${look}`);
    await signIn(page, dashboard.server);
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(dashboard.server.url + path);
      if (name === "overview") await page.waitForSelector(".uplot");
      if (name === "live") await page.waitForSelector(".log li:nth-child(8)");
      await take(page, `${name}-${look}`);
    }
    await page.goto(`${dashboard.server.url}/watches/new`);
    await page.getByLabel("Address or curl command").fill(dashboard.source.url);
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByRole("button", { name: '"paid"' }).click();
    await page.getByRole("button", { name: "Try it" }).click();
    await page.waitForSelector("#tried");
    await take(page, `watch-tried-${look}`);
    await context.close();
  }
} finally {
  await browser.close();
  await dashboard.stop();
}
process.exit(0);

async function take(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${FOLDER}${name}.png`, fullPage: true });
}
