import type { Problem } from "../problem.ts";
import { type Route, route } from "../route.ts";

/** One thing that must be true before work is sent here; `problem` says what is missing, for strangers to read. */
export type ReadinessCheck = { name: string; problem: string | null };
export type Readiness = () => Promise<ReadinessCheck[]>;

const READY = { ready: true, checks: { database: "ok", migrations: "ok", workers: "ok" } };

/** For load balancers and container runtimes: open, and cheap. */
export function healthRoutes({ readiness }: { readiness: Readiness }): Route[] {
  return [
    route({
      method: "GET",
      path: "/healthz",
      summary: "Whether the process is alive",
      tag: "Operation",
      access: "open",
      answers: [{ status: 200, description: "Alive", example: { alive: true } }],
      handle: () => ({ status: 200, body: { alive: true } }),
    }),
    route({
      method: "GET",
      path: "/readyz",
      summary: "Whether this node can do its work: database, migrations, workers",
      tag: "Operation",
      access: "open",
      answers: [{ status: 200, description: "Ready; otherwise 503, naming the checks that fail", example: READY }],
      async handle() {
        const found = await readiness();
        const checks = Object.fromEntries(found.map(({ name, problem }) => [name, problem ?? "ok"]));
        const failing = found.filter(({ problem }) => problem !== null);
        if (failing.length === 0) return { status: 200, body: { ready: true, checks } };
        return notReady(failing, checks);
      },
    }),
  ];
}

function notReady(failing: ReadinessCheck[], checks: Record<string, string>) {
  const problem: Problem & { checks: Record<string, string> } = {
    type: "urn:problem-type:deltahook:not_ready",
    title: "Not ready",
    status: 503,
    detail: `Not ready: ${failing.map(({ name, problem }) => `${name} (${problem})`).join(", ")}.`,
    checks,
  };
  return { status: 503, body: problem, headers: { "content-type": "application/problem+json", "retry-after": "2" } };
}
