import type { Sql } from "../platform/database.ts";
import { AppError, messageOf } from "../platform/errors.ts";
import { publicId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type Repeater, repeat } from "../platform/repeat.ts";
import type { Witness } from "../platform/witness.ts";
import type { Governor, Source } from "./governor.ts";
import * as store from "./host_store.ts";
import type { LearnedHold } from "./limits.ts";

/** A source host as the API shows it. */
export type Host = {
  host: string;
  /** In force: set here, or from the settings. `0`: no limit. */
  concurrency: number;
  rate: number;
  watches: number;
  /** Requests a second that the watches ask for together. */
  asked_per_second: number;
  holds: { secret_id: string | null; until: string; reason: string }[];
  /** Set when the watches together ask for more than the limits let through. */
  warning: string | null;
};

export type HostPatch = { concurrency?: number | null | undefined; rate?: number | null | undefined };

export type Hosts = {
  list(page: { limit: number; cursor?: string | undefined }): Promise<{ data: Host[]; next: string | null }>;
  get(host: string): Promise<Host>;
  /** RFC 7396: null goes back to the settings. */
  patch(host: string, patch: HostPatch, witness?: Witness): Promise<Host>;
  /** A warning for whoever adds load to this host, or null. */
  warning(host: string): Promise<string | null>;
};

export type Patience = {
  /** A source asked to be left alone; all nodes are told. */
  hold(source: Source, learned: LearnedHold): void;
};

const RELOAD_MS = 3_000;

/** Tells the other nodes what this one learned. */
export function createPatience(options: { sql: Sql; governor: Governor; log: Log }): Patience {
  const { sql, governor, log } = options;
  return {
    hold(source, { untilMs, reason }) {
      if (!governor.hold(source, untilMs)) return;
      log.info("a source asks for patience", { host: source.host, until: new Date(untilMs).toISOString(), reason });
      store.saveHold(sql, { ...source, untilMs, reason }).catch((error) => {
        log.warn("a hold could not be shared with other nodes", { host: source.host, problem: messageOf(error) });
      });
    },
  };
}

/** Keeps a governor up to date with what people set and other nodes learned. */
export function followHosts(options: { sql: Sql; governor: Governor; log: Log }): Repeater {
  const { sql, governor, log } = options;
  return repeat({
    name: "reading the limits of hosts",
    everyMs: RELOAD_MS,
    log,
    async work() {
      const [limits, holds] = await Promise.all([store.loadLimits(sql), store.loadHolds(sql)]);
      governor.load(limits, holds);
      return undefined;
    },
  });
}

export function createHosts(sql: Sql, defaults: { concurrency: number; rate: number }): Hosts {
  async function get(host: string): Promise<Host> {
    const [row] = await store.readHosts(sql, [host]);
    if (!row) throw notFound(host);
    return show(row);
  }

  function show(row: store.HostRow): Host {
    const { host, watches, asked } = row;
    const concurrency = row.concurrency ?? defaults.concurrency;
    const rate = row.rate ?? defaults.rate;
    const perSecond = Math.round(asked * 1_000) / 1_000;
    return {
      host,
      concurrency,
      rate,
      watches,
      asked_per_second: perSecond,
      holds: row.holds.map(({ credential, until, reason }) => ({
        secret_id: credential === "" ? null : publicId("secret", credential),
        until,
        reason,
      })),
      warning: rate > 0 && perSecond > rate ? overload(host, watches, perSecond, rate) : null,
    };
  }

  return {
    async list({ limit, cursor }) {
      const names = await store.hostNames(sql, { after: cursor ?? "", limit: limit + 1 });
      const rows = await store.readHosts(sql, names.slice(0, limit));
      return { data: rows.map(show), next: names.length > limit ? (rows.at(-1)?.host ?? null) : null };
    },
    get,
    async patch(host, patch, witness) {
      const [row] = await store.readHosts(sql, [host]);
      if (!row) throw notFound(host);
      const concurrency = patch.concurrency === undefined ? row.concurrency : patch.concurrency;
      const rate = patch.rate === undefined ? row.rate : patch.rate;
      await sql.begin(async (tx) => {
        await store.saveLimits(tx, { host, concurrency, rate });
        await witness?.(tx, { id: host });
      });
      return get(host);
    },
    async warning(host) {
      const [row] = await store.readHosts(sql, [host]);
      return row ? show(row).warning : null;
    },
  };
}

function overload(host: string, watches: number, asked: number, rate: number): string {
  return `The ${watches} watches on ${host} ask for ${asked} requests a second together, and its limit is ${rate}: they will be polled late. Lengthen their intervals, or raise the rate.`;
}

function notFound(host: string): AppError {
  return new AppError(
    "not_found",
    `No watch asks the host ${host.slice(0, 200)}; GET /v1/hosts lists those that are asked.`,
  );
}
