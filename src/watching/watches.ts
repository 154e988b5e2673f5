import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { AppError, type FieldFault } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import { stringifyJson } from "../platform/json.ts";
import { mergePatch } from "../platform/merge_patch.ts";
import type { Outbound } from "../platform/outbound.ts";
import type { Witness } from "../platform/witness.ts";
import { bindingFaults } from "../vault/bindings.ts";
import { sealHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import { readsAlike, sharingKey } from "./compile.ts";
import { pluginNames, WATCH_HOOKS, type WatchPlugins } from "./hooks.ts";
import type { Hosts } from "./hosts.ts";
import { plainRequest } from "./request.ts";
import { intervalMs, phaseOf } from "./schedule.ts";
import { scheduleOf } from "./schedule_input.ts";
import { type ShownWatch, showWatch } from "./shown.ts";
import { REDACTION, readDefinition, type StoredWatch, shownWatch } from "./stored_watch.ts";
import { bodiesToKeep, hasRedacted, type WatchInput } from "./watch.ts";
import { hostOf } from "./watch_cache.ts";
import * as store from "./watches_store.ts";

/** What was made together: `id` only of a single one. */
export type CreatedWatches = { id: string | null; ids: string[] };

/** The resource `/v1/watches`. Ids are public ones (`watch_…`); an unknown one throws a 404. */
export type Watches = {
  /** All or none. The first poll of each is due at once. */
  create(
    inputs: readonly WatchInput[],
    pointerOf?: (index: number) => string,
    witness?: Witness<CreatedWatches>,
  ): Promise<ShownWatch[]>;
  /** Newest first; `cursor` is the UUID of the last watch of the page before, `next` the id of the last one here. */
  list(page: {
    filter: store.WatchFilter;
    cursor: string | null;
    limit: number;
  }): Promise<{ data: ShownWatch[]; next: string | null }>;
  get(id: string): Promise<ShownWatch>;
  /** RFC 7396. `judge` reads the merged body, and throws when it is not acceptable. */
  patch(id: string, patch: object, judge: (merged: unknown) => WatchInput, witness?: Witness): Promise<ShownWatch>;
  remove(id: string, witness?: Witness): Promise<void>;
  /** Refuses what the body alone does not tell: unknown secrets and endpoints, an address that may not be asked. */
  check(inputs: readonly WatchInput[], pointerOf?: (index: number) => string): Promise<void>;
  pause(id: string, witness?: Witness): Promise<ShownWatch>;
  /** Polls at once. */
  resume(id: string, witness?: Witness): Promise<ShownWatch>;
};

const CHANGE_TRIES = 5;
const FOREIGN_KEY_VIOLATION = "23503";

export function createWatches(deps: {
  database: Database;
  clock: Clock;
  vault: Vault;
  outbound: Pick<Outbound, "checkUrl">;
  hosts: Hosts;
  plugins: Pick<WatchPlugins, "checkUse">;
  /** Something was made due. */
  wake(): void;
}): Watches {
  const { clock, vault, hosts } = deps;
  const { sql } = deps.database;

  async function find(id: string): Promise<store.WatchRow> {
    const row = await store.findWatch(sql, watchUuid(id));
    if (!row) throw watchNotFound(id);
    return row;
  }

  async function get(id: string): Promise<ShownWatch> {
    const row = await find(id);
    return showWatch(row, await hosts.warning(hostOf(readDefinition(row.definition).request.url)));
  }

  async function check(inputs: readonly WatchInput[], pointerOf: (index: number) => string = () => ""): Promise<void> {
    const uuidsOf = (kind: "secret" | "endpoint", ids: readonly (string | null)[]) =>
      ids.map((id) => (id === null ? null : parseId(kind, id))).filter((id) => id !== null);
    const secretIds = uuidsOf(
      "secret",
      inputs.map(({ secret_id }) => secret_id),
    );
    const endpointIds = uuidsOf(
      "endpoint",
      inputs.flatMap(({ endpoint_ids }) => endpoint_ids),
    );
    const secrets = await store.existing(sql, "secrets", secretIds);
    const endpoints = await store.existing(sql, "endpoints", endpointIds);
    const bindings = await bindingFaults(
      sql,
      inputs.map(({ secret_id, request }) => ({
        secretId: secret_id && parseId("secret", secret_id),
        url: request.url,
      })),
    );
    const faults: FieldFault[] = [];
    for (const [index, input] of inputs.entries()) {
      const refuse = (place: string, message: string) =>
        faults.push({ pointer: `${pointerOf(index)}${place}`, message });
      const { url } = input.request;
      const urlFault = deps.outbound.checkUrl(url);
      if (urlFault) refuse("/request/url", urlFault);
      if (input.secret_id !== null && !secrets.has(parseId("secret", input.secret_id) ?? "")) {
        refuse("/secret_id", "there is no such secret; GET /v1/secrets lists all");
      }
      const bound = bindings[index];
      if (bound) refuse("/secret_id", bound);
      for (const [place, id] of input.endpoint_ids.entries()) {
        if (endpoints.has(parseId("endpoint", id) ?? "")) continue;
        refuse(`/endpoint_ids/${place}`, "there is no such endpoint; GET /v1/endpoints lists all");
      }
      const names = pluginNames(input.plugin);
      if (names.length === 0) continue;
      const pluginFaults = await deps.plugins.checkUse(names, input.plugin_options, WATCH_HOOKS);
      for (const { pointer, message } of pluginFaults) refuse(pointer, message);
    }
    const [first] = faults;
    if (first)
      throw new AppError("invalid", `The watch cannot be used: ${first.pointer}: ${first.message}`, { faults });
  }

  async function rowOf(
    id: string,
    input: WatchInput,
    before: StoredWatch | null,
    pointer: string,
  ): Promise<store.NewWatch> {
    const { url, headers: given } = input.request;
    const update = before && { stored: before.request.headers, from: before.request.url, to: url };
    const headers = await sealHeaders(vault, id, given, update, `${pointer}/request/headers`);
    const stored: StoredWatch = { ...input, request: { ...input.request, headers } };
    if (before?.redaction) stored.redaction = before.redaction;
    else if (hasRedacted(input)) {
      stored.redaction = { sealed: await vault.seal(REDACTION, id, randomBytes(32).toString("base64")) };
    }
    const schedule = scheduleOf(input.schedule);
    const secretId = input.secret_id === null ? null : parseId("secret", input.secret_id);
    // Watches that can share a request come due together.
    const phase = phaseOf(sharingKey(stored, secretId) ?? id);
    return {
      id,
      name: input.name,
      definition: stringifyJson(stored),
      host: hostOf(plainRequest(stored).url),
      secretId,
      intervalMs: intervalMs(schedule, clock.now()),
      phaseMs: schedule.kind === "every" ? Math.floor(phase * schedule.everyMs) : null,
    };
  }

  /** @throws AppError (404) when the write finds no such watch. */
  async function write(id: string, work: typeof store.pauseWatch, witness: Witness | undefined): Promise<void> {
    const uuid = watchUuid(id);
    await sql.begin(async (tx) => {
      await store.lockWatch(tx, uuid);
      if (!(await work(tx, uuid))) throw watchNotFound(id);
      await witness?.(tx, { id: publicId("watch", uuid) });
    });
  }

  async function turn(id: string, work: typeof store.pauseWatch, witness?: Witness): Promise<ShownWatch> {
    await write(id, work, witness);
    deps.wake();
    return get(id);
  }

  return {
    async create(inputs, pointerOf = () => "", witness) {
      await check(inputs, pointerOf);
      const rows = await Promise.all(inputs.map((input, index) => rowOf(clock.uuid(), input, null, pointerOf(index))));
      const ids = rows.map(({ id }) => publicId("watch", id));
      await withKnownSecrets(
        sql.begin(async (tx) => {
          await store.insertWatches(tx, rows);
          await witness?.(tx, { id: ids.length === 1 ? (ids[0] ?? null) : null, ids });
        }),
      );
      deps.wake();
      const found = new Map(
        (
          await store.findWatches(
            sql,
            rows.map(({ id }) => id),
          )
        ).map((row) => [row.id, row]),
      );
      const warnings = new Map<string, string | null>();
      for (const host of new Set(rows.map((row) => row.host))) warnings.set(host, await hosts.warning(host));
      return rows.flatMap(({ id, host }) => {
        const row = found.get(id);
        return row ? [showWatch(row, warnings.get(host) ?? null)] : [];
      });
    },

    async list({ filter, cursor, limit }) {
      const rows = await store.listWatches(sql, { filter, cursor, limit: limit + 1 });
      const data = rows.slice(0, limit).map((row) => showWatch(row, null));
      return { data, next: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
    },

    get,

    check,

    async patch(id, patch, judge, witness) {
      for (let tried = 0; tried < CHANGE_TRIES; tried++) {
        const row = await find(id);
        const before = readDefinition(row.definition);
        const input = judge(merged(shownWatch(before), patch));
        await check([input]);
        const changed = await rowOf(row.id, input, before, "");
        const fieldKeys = Object.keys(input.fields).map((name) => `f:${name}`);
        const keepBodies = readsAlike(shownWatch(before), input) ? bodiesToKeep(input) : 0;
        const update = { ...changed, revision: row.revision, fieldKeys, hasItems: input.items !== null, keepBodies };
        const updated = sql.begin(async (tx) => {
          await store.lockWatch(tx, row.id);
          const done = await store.updateWatch(tx, update);
          if (done) await witness?.(tx, { id: publicId("watch", row.id) });
          return done;
        });
        if (!(await withKnownSecrets(updated))) continue;
        deps.wake();
        return get(id);
      }
      throw new AppError("conflict", "The watch is being changed by others at the same time; try again.");
    },

    remove: (id, witness) => write(id, store.deleteWatch, witness),
    pause: (id, witness) => turn(id, store.pauseWatch, witness),
    resume: (id, witness) => turn(id, store.resumeWatch, witness),
  };
}

/** A schedule of the other kind takes the place of the one before, instead of mixing with it. */
function merged(before: WatchInput, patch: object): unknown {
  const { schedule } = patch as { schedule?: unknown };
  const says = (kind: "cron" | "every") => typeof schedule === "object" && schedule !== null && kind in schedule;
  const isOther = says("cron") ? "every" in before.schedule : says("every") && "cron" in before.schedule;
  return mergePatch(isOther ? { ...before, schedule: {} } : before, patch);
}

/** The UUID in a watch's id. @throws AppError (404) when it is not one. */
export function watchUuid(id: string): string {
  const uuid = parseId("watch", id);
  if (uuid === null) throw watchNotFound(id);
  return uuid;
}

export function watchNotFound(id: string): AppError {
  return new AppError("not_found", `There is no watch ${id.slice(0, 100)}; GET /v1/watches lists all.`);
}

/** The secret was deleted between the check and the write. */
async function withKnownSecrets<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if ((error as { code?: unknown }).code !== FOREIGN_KEY_VIOLATION) throw error;
    throw new AppError("invalid", "The watch's secret was just deleted; name another one.", {
      faults: [{ pointer: "/secret_id", message: "there is no such secret" }],
    });
  }
}
