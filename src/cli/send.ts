import { Hookshot } from "../client/hookshot.ts";
import type { EventStatus } from "../client/types.ts";
import type { ConnectionTarget } from "../platform/database.ts";
import { answer } from "./answer.ts";
import { FAILED, usage } from "./failure.ts";
import { withDatabase } from "./opened.ts";

type SendOptions = {
  url?: string;
  header?: string[];
  retry?: string;
  idempotencyKey?: string;
  wait?: string | true;
  server?: string;
  apiKey?: string;
  json?: boolean;
};

/** States an event, through a server or straight into the database, and waits for its end if asked to. */
export async function send(type: string, argument: string, options: SendOptions): Promise<void> {
  if (options.url === undefined && (options.header !== undefined || options.retry !== undefined)) {
    throw usage("--header and --retry go only with --url: an endpoint has headers and a policy of its own.");
  }
  const data = parse(argument === "-" ? await Bun.stdin.text() : argument);
  if (options.server === undefined) {
    await withDatabase(({ target }) => through(new Hookshot({ db: databaseOf(target) }), type, data, options));
    return;
  }
  if (options.apiKey === undefined) throw usage("--server needs --api-key, or HOOKSHOT_API_KEY in the environment.");
  await through(new Hookshot({ url: options.server, apiKey: options.apiKey }), type, data, options);
}

async function through(hookshot: Hookshot, type: string, data: unknown, options: SendOptions): Promise<void> {
  try {
    const key = options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey };
    const { id } =
      options.url === undefined
        ? await hookshot.send(type, data, key)
        : await hookshot.sendWebhook(options.url, data, { ...key, type, ...ofThisSend(options) });
    if (options.wait === undefined) return answer(options.json, { id }, id);
    const status = await hookshot.wait(id, options.wait === true ? {} : { timeout: options.wait });
    answer(options.json, status, wordsOf(status));
    if (status.status !== "delivered") process.exitCode = FAILED;
  } finally {
    await hookshot.close();
  }
}

function ofThisSend({ header, retry }: SendOptions) {
  const pairs = (header ?? []).map((line) => [
    line.slice(0, line.indexOf(":")),
    line.slice(line.indexOf(":") + 1).trim(),
  ]);
  return {
    ...(header ? { headers: Object.fromEntries(pairs) as Record<string, string> } : {}),
    ...(retry === undefined ? {} : { retry: { delays: retry.split(",").map((delay) => delay.trim()) } }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usage(`The data is not JSON (${(error as Error).message}); a text alone is written '"text"'.`);
  }
}

function databaseOf(target: ConnectionTarget) {
  return "url" in target ? target.url : target;
}

function wordsOf({ id, status, deliveries }: EventStatus): string {
  if (status === "unclaimed") return `${id}: no endpoint subscribes to it`;
  const lines = deliveries.map((one) => {
    const answered = one.lastStatus === null ? (one.lastError ?? "no answer") : `answered ${one.lastStatus}`;
    return `  ${one.status} after ${one.tries} ${one.tries === 1 ? "try" : "tries"}, ${answered}: ${one.url}`;
  });
  return [`${id}: ${status}`, ...lines].join("\n");
}
