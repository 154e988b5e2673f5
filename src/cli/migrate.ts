import { migrate } from "../platform/migrate.ts";
import { installQueue } from "../platform/queue.ts";
import { answer } from "./answer.ts";
import { withDatabase } from "./opened.ts";

/** Brings the database to this version, and says what that took. */
export async function migrateDatabase(options: { json?: boolean }): Promise<void> {
  await withDatabase(
    async ({ database, target, log }) => {
      const applied = await migrate(database, { log, installQueue: () => installQueue(target, log) });
      const words =
        applied.length === 0 ? "The database is up to date." : applied.map((name) => `applied ${name}`).join("\n");
      answer(options.json, { applied }, words);
    },
    { create: true, migrated: false },
  );
}
