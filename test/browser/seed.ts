import type { Database } from "../../src/platform/database.ts";
import { type Client, eventually, login } from "../support/server.ts";
import type { Dashboard } from "./dashboard.ts";

/** Ids of what there is to look at. */
export type Seeded = {
  healthy: string;
  failing: string;
  watch: string;
  list: string;
  secret: string;
  event: string;
  delivered: string;
  dead: string;
  operation: string;
  person: string;
};

type Listed = { data: { id: string; status?: string }[] };

/** A little of everything: endpoints that take and that fail, watches, a dead letter, an operation, people. */
export async function seed({ database, server, source, receiver, nobody }: Dashboard): Promise<Seeded> {
  await fillPlots(database);
  const api = await login(server);
  const make = async (path: string, body: unknown) => {
    const { status, body: made } = await api.call<{ id: string }>("POST", path, body);
    if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(made)}`);
    return made.id;
  };
  const secret = await make("/v1/secrets", { name: "ERP token", kind: "bearer", value: "not-shown-anywhere" });
  await make("/v1/api-keys", { name: "Billing service", role: "editor" });
  const person = await make("/v1/users", {
    email: "grace@example.com",
    name: "Grace",
    role: "viewer",
    password: "correct horse battery staple",
  });
  const healthy = await make("/v1/endpoints", {
    name: "Billing",
    url: receiver.url,
    event_types: ["order.*", "watch.changed"],
    headers: { "x-team": "billing" },
  });
  const failing = await make("/v1/endpoints", {
    name: "Warehouse of the southern region, second floor",
    url: nobody,
    event_types: ["order.shipped"],
  });
  // What people also write: names as long as they may be, without a space or from right to left, and endless addresses.
  const endless = `${nobody}/${"very/long/path/".repeat(20)}?q=${"abc".repeat(80)}`;
  await make("/v1/endpoints", {
    name: "W".repeat(200),
    url: endless,
    event_types: ["a.type.of.which.nobody.has.heard"],
  });
  await make("/v1/secrets", { name: "S".repeat(100), kind: "bearer", value: "not-shown-anywhere" });
  const paused = await make("/v1/watches", {
    name: "طلبات المتجر الرئيسي في القاهرة".repeat(5),
    request: { url: endless },
    fields: { status: "$.status" },
    schedule: { every: "1h" },
  });
  await api.call("POST", `/v1/watches/${paused}/pause`);
  const watch = await make("/v1/watches", {
    name: "Order 42",
    request: { url: source.url, headers: { accept: "application/json" } },
    secret_id: secret,
    schedule: { every: "1s" },
    fields: { status: "$.order.status", total: "$.order.total" },
    event_type: "order.changed",
  });
  const list = await make("/v1/watches", {
    name: "All orders",
    request: { url: `${source.url}?all=1` },
    schedule: { cron: "*/5 * * * *" },
    items: { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" } },
  });
  const broken = await make("/v1/watches", {
    name: "A host that does not answer",
    request: { url: nobody },
    schedule: { every: "1s" },
    fields: { status: "$.status" },
  });
  for (let n = 0; n < 6; n++) {
    await make("/v1/events", { type: "order.paid", data: { order: 40 + n, amount: 19.99, currency: "EUR" } });
  }
  await make("/v1/events", { type: "order.shipped", data: { order: 42, parcel: "00340434161094042557" } });
  await make("/v1/events", { type: "order.shipped", data: { order: 43, parcel: "00340434161094042558" } });

  await statusOf(api, `/v1/watches/${watch}/polls`, 1);
  source.document = { order: { id: 42, status: "paid", total: 19.99 }, orders: [{ id: 1, status: "new" }] };
  await statusOf(api, `/v1/events?type=order.changed`, 1);
  await statusOf(api, `/v1/watches/${broken}/polls`, 2);
  const deaths = await statusOf(api, `/v1/dead-letters?endpoint=${failing}`, 2);
  const delivered = await statusOf(api, `/v1/deliveries?endpoint=${healthy}&status=delivered`, 6);
  const operation = await make(`/v1/endpoints/${healthy}/recover`, {
    since: new Date(0).toISOString(),
    status: "delivered",
  });
  await api.call("POST", `/v1/endpoints/${failing}/pause`);
  const events = await statusOf(api, "/v1/events?type=order.paid", 1);
  return {
    healthy,
    failing,
    watch,
    list,
    secret,
    operation,
    person,
    event: events[0]?.id ?? "",
    delivered: delivered[0]?.id ?? "",
    dead: deaths[0]?.id ?? "",
  };
}

const MINUTE_MS = 60_000;

/** An hour of counters, so that the plots have something to draw: the same waves each time. */
async function fillPlots({ sql }: Database): Promise<void> {
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const rows = Array.from({ length: 60 }, (_, place) => {
    const wave = 1 + Math.sin(place / 7) / 3 + Math.sin(place * 2.3) / 9;
    const isOutage = place > 31 && place < 37;
    const counted = (metric: string, count: number) => ({ metric, count: Math.round(count), buckets: null });
    const measured = (metric: string, count: number, usualMs: number) => {
      const buckets = Array.from({ length: 90 }, (_, bucket) => bell(bucket, 8 * Math.log2(usualMs), count));
      return { metric, count: buckets.reduce((sum, n) => sum + n, 0), buckets };
    };
    return [
      counted("deliveries_delivered", 420 * wave),
      counted("deliveries_failed", isOutage ? 90 * wave : 2 * wave),
      counted("polls_unchanged", 1_400 + 60 * wave),
      counted("polls_changed", 90 * wave),
      counted("polls_failed", isOutage ? 160 : 3 * wave),
      measured("delivery_latency_ms", 400, isOutage ? 110 : 38 * wave),
      measured("poll_lag_ms", 400, 14 * wave),
    ].map((row) => ({ ...row, minute: new Date(now - (59 - place) * MINUTE_MS), node_id: "earlier" }));
  });
  await sql`insert into deltahook.rollups ${sql(rows.flat())}`;
}

/** How many of `count` observations lie in a bucket of the percentiles, when most lie around one of them. */
function bell(bucket: number, middle: number, count: number): number {
  return Math.round((count / 16) * Math.exp(-(((bucket - middle) / 9) ** 2)));
}

/** A list, as soon as it has so many. */
async function statusOf(api: Client, path: string, least: number): Promise<{ id: string }[]> {
  const { body } = await eventually(
    () => api.call<Listed>("GET", path),
    ({ body }) => body.data.length >= least,
  );
  return body.data;
}

/** Every page that there is something to see on, by the name of its picture. */
export function pagesOf(seeded: Seeded): Record<string, string> {
  return {
    overview: "/",
    live: "/live",
    play: "/play",
    watches: "/watches",
    watch: `/watches/${seeded.watch}`,
    "watch-edit": `/watches/${seeded.watch}/edit`,
    "watch-edit-json": `/watches/${seeded.watch}/edit?as=json`,
    "watch-edit-list": `/watches/${seeded.list}/edit`,
    "watch-new": "/watches/new",
    endpoints: "/endpoints",
    endpoint: `/endpoints/${seeded.healthy}`,
    "endpoint-paused": `/endpoints/${seeded.failing}`,
    "endpoint-edit": `/endpoints/${seeded.healthy}/edit`,
    "endpoint-new": "/endpoints/new",
    "endpoint-recover": `/endpoints/${seeded.failing}/recover?since=24h&status=dead`,
    events: "/events",
    event: `/events/${seeded.event}`,
    deliveries: "/deliveries",
    delivery: `/deliveries/${seeded.delivered}`,
    "delivery-dead": `/deliveries/${seeded.dead}`,
    "dead-letters": "/dead-letters",
    "dead-letters-discard": "/dead-letters/discard",
    "dead-letter": `/dead-letters/${seeded.dead}`,
    operations: "/operations",
    operation: `/operations/${seeded.operation}`,
    secrets: "/secrets",
    secret: `/secrets/${seeded.secret}`,
    "secret-new": "/secrets/new",
    plugins: "/plugins",
    "plugin-try": "/plugins/slack/try",
    "api-keys": "/api-keys",
    people: "/people",
    person: `/people/${seeded.person}`,
    "person-new": "/people/new",
    audit: "/audit",
    settings: "/settings",
    account: "/account",
    missing: "/watches/watch_00000000000000000000000000000000",
  };
}
