import type { SqlRunner } from "./database.ts";

/**
 * Writes down who made a change. The room that makes it calls this inside the change's own transaction, so neither stands
 * without the other: when it throws, the change has not happened. `made` is what was changed, by its public id (null: many
 * things at once), with whatever else the room tells about it.
 */
export type Witness<T extends { id: string | null } = { id: string }> = (tx: SqlRunner, made: T) => Promise<void>;
