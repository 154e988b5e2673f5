import type { Clock } from "../platform/clock.ts";
import type { Database, SqlRunner, Transaction } from "../platform/database.ts";
import { formatDuration } from "../platform/durations.ts";
import { AppError, invalid } from "../platform/errors.ts";
import { parseId, publicId, uuidTime } from "../platform/ids.ts";
import { parseJson, stringifyJson } from "../platform/json.ts";
import { mergePatch } from "../platform/merge_patch.ts";
import type { Witness } from "../platform/witness.ts";
import type { Plugins } from "../plugins/plugins.ts";
import { bindingFaults } from "../vault/bindings.ts";
import { maskHeaders, type StoredHeaders, sealHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import type { EndpointKind } from "./endpoint.ts";
import type { EndpointInput } from "./endpoint_input.ts";
import * as store from "./endpoint_store.ts";
import { showRetry } from "./input.ts";
import { isoTime, type Page, type PageRequest, pageOfRows } from "./page.ts";
import type { Publish } from "./publish.ts";
import { firstSigning, openSigning, rotateSigning } from "./signing_secrets.ts";

/** An endpoint as the API shows it: null for a retry or timeout means the server's own; never a secret value. */
export type ShownEndpoint = ReturnType<typeof showEndpoint>;
export type ShownSecret = { secret: string; previous: { secret: string; expires_at: string | null }[] };

/** The resource `/v1/endpoints`. Ids are public ones (`ep_…`); an unknown one throws a 404. */
export type Endpoints = {
  create(input: EndpointInput, witness?: Witness<ShownEndpoint>): Promise<ShownEndpoint>;
  list(page: PageRequest & { kind?: EndpointKind | undefined }): Promise<Page<ShownEndpoint>>;
  get(id: string): Promise<ShownEndpoint>;
  /** RFC 7396. `check` judges the merged body, and throws when it is not acceptable. */
  patch(
    id: string,
    patch: object,
    check: (merged: unknown) => EndpointInput,
    witness?: Witness,
  ): Promise<ShownEndpoint>;
  /** What is owed to it is cancelled; its deliveries stay listed. */
  remove(id: string, witness?: Witness): Promise<void>;
  /** What is owed waits, also when the endpoint was paused for another reason before. */
  pause(id: string, witness?: Witness): Promise<ShownEndpoint>;
  /** Goes on, whatever it was paused for; the backlog drains at the endpoint's own pace. */
  resume(id: string, witness?: Witness): Promise<ShownEndpoint>;
  secret(id: string): Promise<ShownSecret>;
  /** The earlier secrets sign along for `keepMs` more. */
  rotateSecret(id: string, keepMs: number, witness?: Witness): Promise<ShownSecret>;
};

const CHANGE_TRIES = 5;
const FOREIGN_KEY_VIOLATION = "23503";
/** Of an implicit endpoint these follow from the sends themselves. */
const FIXED_OF_DIRECT = ["url", "event_types", "filter", "ordered"] as const;

export function createEndpoints(deps: {
  database: Database;
  vault: Vault;
  clock: Clock;
  publish: Publish;
  plugins?: Pick<Plugins, "checkUse">;
}): Endpoints {
  const { vault, clock } = deps;
  const { sql } = deps.database;

  async function find(id: string, runner: SqlRunner = sql): Promise<store.EndpointRow> {
    const uuid = parseId("endpoint", id);
    const row = uuid === null ? undefined : await store.findEndpoint(runner, uuid);
    if (!row) throw endpointNotFound(id);
    return row;
  }

  async function get(id: string, runner: SqlRunner = sql): Promise<ShownEndpoint> {
    return showEndpoint(await find(id, runner));
  }

  /** Reads, decides and writes again until nobody came in between. */
  async function change(id: string, tryOnce: (row: store.EndpointRow) => Promise<boolean>): Promise<void> {
    for (let tried = 0; tried < CHANGE_TRIES; tried++) if (await tryOnce(await find(id))) return;
    throw new AppError("conflict", "The endpoint is being changed by others at the same time; try again.");
  }

  /** A write and its witness; false when it found nothing to write. */
  function write(
    id: string,
    work: (tx: Transaction) => Promise<boolean>,
    witness: Witness | undefined,
  ): Promise<boolean> {
    return sql.begin(async (tx) => {
      const written = await work(tx);
      if (written) await witness?.(tx, { id: publicId("endpoint", id) });
      return written;
    });
  }

  /** Pauses or resumes, and tells who listens for it. */
  async function turn(
    id: string,
    type: "endpoint.paused" | "endpoint.resumed",
    witness: Witness | undefined,
  ): Promise<ShownEndpoint> {
    const row = await find(id);
    await sql.begin(async (tx) => {
      const turned = await (type === "endpoint.paused"
        ? store.pauseEndpoint(tx, row.id)
        : store.resumeEndpoint(tx, row.id));
      if (turned) await tell(tx, row, type);
      await witness?.(tx, { id: publicId("endpoint", row.id) });
    });
    return get(id);
  }

  async function tell(tx: SqlRunner, row: store.EndpointRow, type: string): Promise<void> {
    const endpoint = { id: publicId("endpoint", row.id), name: row.name, url: row.url };
    const data = type === "endpoint.paused" ? { endpoint, reason: "manual" } : { endpoint };
    await deps.publish(tx, [{ type, data: JSON.stringify(data), origin: "system", aboutEndpoint: row.id }]);
  }

  async function secret(id: string): Promise<ShownSecret> {
    const row = await find(id);
    const [newest, ...previous] = await openSigning(vault, row.id, row.signing, clock.now());
    if (!newest) throw new Error(`the endpoint ${id} has no signing secret`);
    return { secret: newest.secret, previous };
  }

  /** @throws AppError when the secret may not go to the endpoint's address */
  async function checkSecret({ secret_id, url }: EndpointInput): Promise<void> {
    const [fault] = await bindingFaults(sql, [{ secretId: secret_id, url }]);
    if (fault) throw invalid("/secret_id", fault);
  }

  /** @throws AppError naming a plugin that is not there, or an option that it does not take */
  async function checkPlugins({ plugin, plugin_options }: EndpointInput): Promise<void> {
    if (plugin.length === 0) return;
    const faults = (await deps.plugins?.checkUse(plugin, plugin_options, ["transform"])) ?? [];
    const [first] = faults;
    if (first)
      throw new AppError("invalid", `The endpoint cannot be used: ${first.pointer}: ${first.message}`, { faults });
  }

  return {
    async create(input, witness) {
      await checkPlugins(input);
      await checkSecret(input);
      const id = await store.newId(sql);
      const settings = settingsOf(input, await sealHeaders(vault, id, input.headers));
      const signing = await firstSigning(vault, id);
      return withKnownSecret(
        sql.begin(async (tx) => {
          await store.insertEndpoint(tx, { ...settings, id, origin: null, signing });
          const made = await get(publicId("endpoint", id), tx);
          await witness?.(tx, made);
          return made;
        }),
      );
    },

    async list({ kind, cursor, limit }) {
      const rows = await store.listEndpoints(sql, { kind, cursor, limit: limit + 1 });
      return pageOfRows(rows, limit, showEndpoint);
    },

    get: (id) => get(id),

    async patch(id, patch, check, witness) {
      await change(id, async (row) => {
        if (row.kind === "direct") refuseFixed(patch);
        if (row.kind === "listen") throw listenerIsFixed();
        const input = check(merged(bodyOf(row), patch));
        await checkPlugins(input);
        await checkSecret(input);
        const headers = await sealHeaders(vault, row.id, input.headers, {
          stored: row.headers,
          from: row.url,
          to: input.url,
        });
        const settings = { ...settingsOf(input, headers), id: row.id, revision: row.revision };
        return withKnownSecret(write(row.id, (tx) => store.updateEndpoint(tx, settings), witness));
      });
      return get(id);
    },

    async remove(id, witness) {
      const uuid = parseId("endpoint", id);
      const removed = uuid !== null && (await write(uuid, (tx) => store.deleteEndpoint(tx, uuid), witness));
      if (!removed) throw endpointNotFound(id);
      await store.cancelOwed(sql, uuid);
    },

    pause: (id, witness) => turn(id, "endpoint.paused", witness),
    resume: (id, witness) => turn(id, "endpoint.resumed", witness),
    secret,

    async rotateSecret(id, keepMs, witness) {
      await change(id, async ({ id: endpointId, revision, signing }) => {
        const rotated = await rotateSigning(vault, endpointId, signing, keepMs, clock.now());
        const update = { id: endpointId, revision, signing: rotated };
        return write(endpointId, (tx) => store.updateSigning(tx, update), witness);
      });
      return secret(id);
    },
  };
}

export function endpointNotFound(id: string): AppError {
  return new AppError("not_found", `There is no endpoint ${id.slice(0, 100)}. GET /v1/endpoints lists all.`);
}

function settingsOf(input: EndpointInput, headers: StoredHeaders): store.EndpointSettings {
  const { plugin_options, timeout, rate_limit, headers: _, ...same } = input;
  return {
    ...same,
    headers,
    plugin_options: stringifyJson(plugin_options),
    timeout_ms: timeout,
    rate_limit_max: rate_limit?.max ?? null,
    rate_limit_per_ms: rate_limit?.per ?? null,
  };
}

/** An endpoint as the body that would create it; sealed header values as `***`. */
function bodyOf(row: store.EndpointRow) {
  return {
    name: row.name,
    url: row.url,
    event_types: row.event_types,
    filter: row.filter,
    headers: maskHeaders(row.headers),
    secret_id: row.secret_id === null ? null : publicId("secret", row.secret_id),
    plugin: row.plugin.length > 1 ? row.plugin : (row.plugin[0] ?? null),
    plugin_options: parseJson(row.plugin_options),
    retry: row.retry === null ? null : showRetry(row.retry),
    timeout: row.timeout_ms === null ? null : formatDuration(row.timeout_ms),
    rate_limit:
      row.rate_limit_max === null || row.rate_limit_per_ms === null
        ? null
        : { per: formatDuration(row.rate_limit_per_ms), max: row.rate_limit_max },
    max_in_flight: row.max_in_flight,
    ordered: row.ordered,
    auto_pause: row.auto_pause,
  };
}

function showEndpoint(row: store.EndpointRow) {
  return {
    id: publicId("endpoint", row.id),
    kind: row.kind,
    ...bodyOf(row),
    paused: row.paused_reason === null ? null : { reason: row.paused_reason, since: isoTime(row.paused_since) },
    health: {
      failing_since: isoTime(row.failing_since),
      held_until: isoTime(row.hold_until),
      next_probe_at: isoTime(row.probe_at),
      backlog: row.has_parked,
    },
    created_at: isoTime(uuidTime(row.id)),
    updated_at: isoTime(row.updated_at),
  };
}

type Body = ReturnType<typeof bodyOf>;

/** Header names count whatever their case. A policy of the other form takes the place of the stored one. */
function merged(body: Body, patch: { headers?: unknown; retry?: unknown }): unknown {
  const headers = isObject(patch.headers)
    ? Object.fromEntries(Object.entries(patch.headers).map(([name, value]) => [name.toLowerCase(), value]))
    : patch.headers;
  const otherForm = isObject(patch.retry) && body.retry !== null && "delays" in patch.retry !== "delays" in body.retry;
  return mergePatch(otherForm ? { ...body, retry: null } : body, headers === undefined ? patch : { ...patch, headers });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuseFixed(patch: object): void {
  const named = FIXED_OF_DIRECT.find((name) => name in patch);
  if (named) throw invalid(`/${named}`, `${named} of an implicit endpoint follows from the events sent with "url".`);
}

function listenerIsFixed(): AppError {
  return new AppError("conflict", "This endpoint belongs to somebody who listens: it is fixed until they end it.");
}

/** A secret may vanish between its being named and the write. */
async function withKnownSecret<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if ((error as { code?: unknown }).code !== FOREIGN_KEY_VIOLATION) throw error;
    throw invalid("/secret_id", "There is no such secret. POST /v1/secrets creates one.");
  }
}
