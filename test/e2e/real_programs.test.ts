import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import {
  hasPrometheus,
  hasRabbitMq,
  hasWebhook,
  startPrometheus,
  startRabbitMq,
  startWebhook,
} from "../support/programs.ts";
import { startReceiver } from "../support/receiver.ts";
import {
  type Client,
  eventually,
  login,
  type ServerProcess,
  startServerProcess,
  temporaryDataDir,
} from "../support/server.ts";

/** The main job with programs that nobody here wrote: real APIs in, a real receiver and the official verifier out. */
describe("watching and telling real programs", () => {
  const data = temporaryDataDir();
  let server: ServerProcess;
  let api: Client;

  beforeAll(async () => {
    server = await startServerProcess({ DATA_DIR: data.path });
    api = await login(server);
  }, 60_000);

  afterAll(async () => {
    await server?.end("SIGTERM");
    data.remove();
  });

  test.skipIf(!hasRabbitMq || !hasWebhook)(
    "a message on a RabbitMQ queue becomes one signed webhook at two receivers",
    async () => {
      const rabbit = await startRabbitMq();
      const hook = await startWebhook();
      const verifier = startReceiver();
      const management = async (method: string, path: string, body: unknown) => {
        const response = await fetch(`http://127.0.0.1:${rabbit.port}/api${path}`, {
          method,
          headers: { authorization: `Basic ${btoa("guest:guest")}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        expect(response.ok).toBe(true);
      };
      try {
        await management("PUT", "/queues/%2f/orders", { durable: true });
        const secret = await api.call<{ id: string }>("POST", "/v1/secrets", {
          name: "rabbit",
          kind: "basic",
          value: { username: "guest", password: "guest" },
        });
        expect(secret.status).toBe(201);
        const official = await api.call<{ id: string }>("POST", "/v1/endpoints", {
          name: "Verifier",
          url: verifier.url,
          event_types: ["queue.*"],
        });
        await api.call("POST", "/v1/endpoints", {
          name: "Debian webhook",
          url: `http://127.0.0.1:${hook.port}/hooks/order`,
          event_types: ["queue.grew"],
        });
        const watch = await api.call<{ id: string }>("POST", "/v1/watches", {
          name: "Orders waiting",
          request: { method: "GET", url: `http://127.0.0.1:${rabbit.port}/api/queues/%2f/orders` },
          secret_id: secret.body.id,
          schedule: { every: "1s" },
          fields: { messages: "$.messages" },
          conditions: [{ field: "messages", op: "increases" }],
          event_type: "queue.grew",
        });
        expect(watch.status).toBe(201);
        // The management API knows no number of messages until it has counted once.
        await eventually(
          () => api.call<{ fields: { messages?: { value?: number } } }>("GET", `/v1/watches/${watch.body.id}/state`),
          ({ body }) => body.fields.messages?.value === 0,
          30_000,
        );
        await management("POST", "/exchanges/%2f/amq.default/publish", {
          properties: {},
          routing_key: "orders",
          payload: "one order",
          payload_encoding: "string",
        });
        await verifier.arrived(1, 30_000);
        const got = verifier.received[0];
        const signing = await api.call<{ secret: string }>("GET", `/v1/endpoints/${official.body.id}/secret`);
        const payload = new Webhook(signing.body.secret).verify(got?.body ?? "", got?.headers ?? {}) as {
          type: string;
          data: { watch: { name: string }; changes: { field: string; previous: number; current: number }[] };
        };
        expect(payload.type).toBe("queue.grew");
        expect(payload.data.watch.name).toBe("Orders waiting");
        expect(payload.data.changes).toMatchObject([{ field: "messages", kind: "changed", previous: 0, current: 1 }]);
        await eventually(
          async () => hook.output(),
          (text) => text.includes("arrived queue.grew evt_"),
          15_000,
        );
        await Bun.sleep(3_000);
        expect(verifier.received.length).toBe(1);
      } finally {
        await Promise.all([rabbit.stop(), hook.stop(), verifier.stop()]);
      }
    },
    150_000,
  );

  test.skipIf(!hasPrometheus)(
    "a target that goes down in Prometheus becomes one event",
    async () => {
      const target = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("shop_orders_total 3\n") });
      const prometheus = await startPrometheus(`127.0.0.1:${target.port}`);
      const verifier = startReceiver();
      try {
        const made = await api.call<{ id: string }>("POST", "/v1/endpoints", {
          name: "On call",
          url: verifier.url,
          event_types: ["shop.down"],
        });
        const ask = async () => {
          const response = await fetch(`http://127.0.0.1:${prometheus.port}/api/v1/targets`);
          return response.text();
        };
        await eventually(ask, (text) => text.includes('"health":"up"'));
        const watch = await api.call<{ id: string }>("POST", "/v1/watches", {
          name: "Shop",
          request: { method: "GET", url: `http://127.0.0.1:${prometheus.port}/api/v1/targets` },
          schedule: { every: "1s" },
          fields: { health: "$.data.activeTargets[0].health" },
          conditions: [{ field: "health", op: "leaves", value: "up" }],
          event_type: "shop.down",
        });
        expect(watch.status).toBe(201);
        await eventually(
          () => api.call<{ data: { outcome: string }[] }>("GET", `/v1/watches/${watch.body.id}/polls`),
          ({ body }) => body.data.some((poll) => poll.outcome === "baseline"),
        );
        await target.stop(true);
        await verifier.arrived(1, 30_000);
        const got = verifier.received[0];
        const signing = await api.call<{ secret: string }>("GET", `/v1/endpoints/${made.body.id}/secret`);
        const payload = new Webhook(signing.body.secret).verify(got?.body ?? "", got?.headers ?? {}) as {
          data: { changes: unknown[] };
        };
        expect(payload.data.changes).toMatchObject([{ field: "health", previous: "up", current: "down" }]);
      } finally {
        await target.stop(true);
        await Promise.all([prometheus.stop(), verifier.stop()]);
      }
    },
    120_000,
  );
});
