import type { SqlRunner } from "../platform/database.ts";
import { boundFault } from "../platform/host_patterns.ts";
import { findHosts } from "./store.ts";

/**
 * For who names a secret (by its UUID) for an address: what keeps each pair apart, as a sentence, or null. That a secret
 * exists is not asked here; each request checks once more, since a secret may be bound later.
 */
export async function bindingFaults(
  sql: SqlRunner,
  uses: readonly { secretId: string | null; url: string }[],
): Promise<(string | null)[]> {
  const ids = uses.flatMap(({ secretId }) => secretId ?? []);
  const hosts = ids.length === 0 ? new Map<string, string[] | null>() : await findHosts(sql, ids);
  return uses.map(({ secretId, url }) => boundFault(hosts.get(secretId ?? "") ?? null, url));
}
