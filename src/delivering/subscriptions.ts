import type { SqlRunner } from "../platform/database.ts";
import { type Json, parseJson } from "../platform/json.ts";
import { type CompiledPath, compilePath, isPathFault } from "../platform/jsonpath.ts";
import { subscribes } from "./event_types.ts";

type Subscription = {
  endpointId: string;
  eventTypes: readonly string[];
  filter: CompiledPath | null;
  ordered: boolean;
};
export type Recipient = { endpointId: string; ordered: boolean };

/** Who wants an event: kept in memory, checked against one number in the database at each publication. */
export type Subscriptions = {
  /** The state as of this transaction; a change committed before is never missed. */
  load(sql: SqlRunner): Promise<SubscriptionSet>;
};

export type SubscriptionSet = {
  /** The endpoints that an event of this type and payload reaches. `payload` is only read if a filter needs it. */
  matching(type: string, payload: () => string, aboutEndpoint: string | undefined): Recipient[];
  /** Those of the given endpoints that exist. */
  chosen(endpointIds: readonly string[]): Recipient[];
};

export function createSubscriptions(): Subscriptions {
  let known: { version: number; set: SubscriptionSet } | null = null;
  return {
    async load(sql) {
      const [row] = await sql<{ version: number }[]>`select version from deltahook.subscriptions`;
      const version = row?.version ?? 0;
      if (known?.version !== version) known = { version, set: await read(sql) };
      return known.set;
    },
  };
}

async function read(sql: SqlRunner): Promise<SubscriptionSet> {
  const rows = await sql<{ id: string; event_types: string[]; filter: string | null; ordered: boolean }[]>`
    select id, event_types, filter, ordered from deltahook.endpoints order by id`;
  const all: Subscription[] = rows.map((row) => ({
    endpointId: row.id,
    eventTypes: row.event_types,
    filter: row.filter === null ? null : compileFilter(row.filter),
    ordered: row.ordered,
  }));
  const byId = new Map(all.map((subscription) => [subscription.endpointId, subscription]));
  const byType = new Map<string, Subscription[]>();

  return {
    matching(type, payload, aboutEndpoint) {
      const interested = subscribersOf(type, all, byType);
      if (interested.length === 0) return [];
      let document: Json | undefined;
      return interested.filter((subscription) => {
        if (subscription.endpointId === aboutEndpoint) return false;
        if (subscription.filter === null) return true;
        document ??= [parseJson(payload())];
        return subscription.filter.values(document).length > 0;
      });
    },
    chosen(endpointIds) {
      return [...new Set(endpointIds)].flatMap((id) => byId.get(id) ?? []);
    },
  };
}

/** Users choose the types: the memory of them is bounded. */
function subscribersOf(type: string, all: Subscription[], byType: Map<string, Subscription[]>): Subscription[] {
  const known = byType.get(type);
  if (known) return known;
  if (byType.size >= 10_000) byType.clear();
  const found = all.filter((subscription) => subscribes(subscription.eventTypes, type));
  byType.set(type, found);
  return found;
}

/** Filters were checked when they were saved. */
function compileFilter(text: string): CompiledPath {
  const path = compilePath(text);
  if (isPathFault(path)) throw new Error(`a stored filter does not parse: ${path.message}`);
  return path;
}
