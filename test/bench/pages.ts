import { type IdKind, parseId, publicId } from "../../src/platform/ids.ts";
import { PUBLIC_URL, type WholeApp, wholeApp } from "../trust/whole_app.ts";
import { type Seeded, seedPages } from "./pages_seed.ts";

const TIMES = 10;
/** After five executions on a connection Postgres may plan a statement for any values: that plan is the one to measure. */
const WARM_UPS = 25;

export type PageTime = { path: string; status: number; medianMs: number; maxMs: number };

/**
 * How long every page and list takes on a full database, in milliseconds, the slowest first: signed in as an admin, each
 * asked ten times after 25 that are not counted, with every filter and from a place deep in the list.
 */
export async function measurePages(options: { watches: number; deliveries: number }): Promise<PageTime[]> {
  const app = await wholeApp({ allowed: ["203.0.113.0/24"] });
  try {
    const seeded = await seedPages(app, options);
    return await timePages(app, seeded);
  } finally {
    await app.close();
  }
}

/** On what {@link seedPages} made. */
export async function timePages(app: WholeApp, seeded: Seeded): Promise<PageTime[]> {
  const user = await app.identity.users.create({
    email: "admin@example.com",
    name: "Admin",
    role: "admin",
    password: "correct horse battery staple",
  });
  const cookie = `deltahook=${await app.identity.sessions.start(parseId("user", user.id) ?? "", {})}`;
  const times: PageTime[] = [];
  for (const path of pathsOf(seeded)) times.push(await timeOf(app, path, cookie));
  return times.sort((a, b) => b.medianMs - a.medianMs);
}

async function timeOf(app: WholeApp, path: string, cookie: string): Promise<PageTime> {
  const headers = { cookie, accept: path.startsWith("/v1/") ? "application/json" : "text/html" };
  const spentMs: number[] = [];
  let status = 0;
  for (let time = -WARM_UPS; time < TIMES; time++) {
    const startedAt = performance.now();
    const response = await app.server.handle(new Request(PUBLIC_URL + path, { headers }));
    await response.text();
    status = response.status;
    if (time >= 0) spentMs.push(performance.now() - startedAt);
  }
  spentMs.sort((a, b) => a - b);
  return { path, status, medianMs: spentMs[TIMES / 2] ?? 0, maxMs: spentMs.at(-1) ?? 0 };
}

/** Every page that reads what grows, and the lists of the API: as they open, by filter, and deep. */
function pathsOf(seeded: Seeded): string[] {
  const { busyWatch, deepWatch, busyEndpoint, quietEndpoint, deepDelivery, deepEvent, letter } = seeded;
  const deepOf: Record<string, string> = {
    "/watches": id("watch", deepWatch),
    "/events": id("event", deepEvent),
    "/deliveries": id("delivery", deepDelivery),
    "/dead-letters": id("delivery", deepDelivery),
  };
  const filters: Record<string, string[]> = {
    "/watches": ["name=Order+77", "name=nowhere", "host=host-7.example.com", "paused=true", "paused=false"],
    "/events": ["type=watch.changed", "type=seldom", "type=unknown", `watch=${id("watch", busyWatch)}`],
    "/deliveries": [
      ...["pending", "delivered", "dead", "cancelled"].map((status) => `status=${status}`),
      ...[busyEndpoint, quietEndpoint].map((endpoint) => `endpoint=${id("endpoint", endpoint)}`),
      ...["pending", "delivered", "dead"].map((status) => `endpoint=${id("endpoint", quietEndpoint)}&status=${status}`),
      ...[busyWatch, deepWatch].map((watch) => `watch=${id("watch", watch)}`),
      `watch=${id("watch", deepWatch)}&status=delivered`,
      `watch=${id("watch", busyWatch)}&status=dead`,
      `event=${id("event", deepEvent)}`,
    ],
    "/dead-letters": [
      ...["watch.changed", "seldom", "unknown"].map((type) => `type=${type}`),
      ...["exhausted", "rejected"].map((reason) => `reason=${reason}`),
      `endpoint=${id("endpoint", busyEndpoint)}`,
      `watch=${id("watch", busyWatch)}`,
      `endpoint=${id("endpoint", quietEndpoint)}&reason=rejected`,
    ],
  };
  const lists = Object.entries(filters).flatMap(([list, queries]) => [
    list,
    `${list}?before=${deepOf[list]}`,
    ...queries.flatMap((query) => [`${list}?${query}`, `${list}?${query}&before=${deepOf[list]}`]),
    ...["", ...queries].map((query) => `/v1${list}?limit=200&${query}`),
  ]);
  return [
    ...["1h", "24h", "7d", "30d"].flatMap((window) => [`/?window=${window}`, `/overview/series?window=${window}`]),
    ...["1h", "24h", "7d"].map((window) => `/v1/stats?window=${window}`),
    "/overview/figures",
    "/metrics",
    ...lists,
    ...["/v1/hosts", "/v1/endpoints", "/v1/operations", "/v1/audit", "/v1/users", "/v1/secrets", "/v1/api-keys"],
    ...["/endpoints", "/endpoints?kind=direct", "/endpoints/new", `/endpoints/${id("endpoint", busyEndpoint)}`],
    `/endpoints/${id("endpoint", busyEndpoint)}/recover?since=24h&status=dead`,
    ...[busyWatch, deepWatch].flatMap((watch) => [
      `/watches/${id("watch", watch)}`,
      `/watches/${id("watch", watch)}/edit`,
      `/v1/watches/${id("watch", watch)}/polls`,
      `/v1/watches/${id("watch", watch)}/state`,
    ]),
    "/watches/new",
    `/events/${id("event", deepEvent)}`,
    `/v1/events/${id("event", deepEvent)}/deliveries`,
    `/deliveries/${id("delivery", deepDelivery)}`,
    `/dead-letters/${id("delivery", letter)}`,
    ...["/dead-letters/requeue", "/dead-letters/requeue?type=seldom", "/dead-letters/requeue?reason=rejected"],
    ...["/live", "/play", "/play/received", "/operations", "/secrets", "/api-keys", "/people", "/plugins", "/audit"],
    ...["/settings", "/account"],
  ];
}

function id(kind: IdKind, uuid: string): string {
  return publicId(kind, uuid);
}

if (import.meta.main) {
  const [watches, deliveries] = process.argv.slice(2).map(Number);
  const times = await measurePages({ watches: watches ?? 100_000, deliveries: deliveries ?? 1_000_000 });
  process.stdout.write(`${"median".padStart(8)}${"max".padStart(8)}  status\n`);
  for (const { path, status, medianMs, maxMs } of times) {
    process.stdout.write(`${medianMs.toFixed(1).padStart(8)}${maxMs.toFixed(1).padStart(8)}  ${status} ${path}\n`);
  }
  process.exit(0);
}
