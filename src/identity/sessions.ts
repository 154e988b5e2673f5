import type { Database } from "../platform/database.ts";
import { publicId } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import type { Principal } from "./principal.ts";
import * as store from "./store/sessions.ts";
import { hashToken, newToken } from "./token.ts";

export const SESSION_IDLE_MS = 12 * 3_600_000;
export const SESSION_MAX_MS = 7 * 86_400_000;
const SEEN_EVERY_MS = 60_000;

export type Sessions = {
  /** @returns the token for the cookie; it is stored only hashed. */
  start(userId: string, from: { address?: string; userAgent?: string }, witness?: Witness, now?: Date): Promise<string>;
  /** Who a token belongs to; `expired` after 12 h unused or 7 days, `unknown` when ended, or its person is disabled. */
  find(token: string, now?: Date): Promise<Principal | "expired" | "unknown">;
  end(token: string, witness?: Witness): Promise<void>;
  endAll(userId: string): Promise<void>;
};

export function createSessions({ sql }: Database): Sessions {
  return {
    async start(userId, from, witness, now = new Date()) {
      const token = newToken();
      const userAgent = from.userAgent?.slice(0, 300) ?? null;
      const session = { hash: hashToken(token), userId, now, address: from.address ?? null, userAgent };
      await sql.begin(async (transaction) => {
        await store.insertSession(transaction, session);
        await witness?.(transaction, { id: publicId("user", userId) });
      });
      return token;
    },
    async find(token, now = new Date()) {
      const row = await store.findSession(sql, hashToken(token));
      if (!row) return "unknown";
      if (sessionExpired(row, now)) return "expired";
      if (now.getTime() - row.seen_at.getTime() >= SEEN_EVERY_MS) await store.touchSession(sql, hashToken(token), now);
      return { kind: "user", id: row.user_id, name: row.name || row.email, role: row.role };
    },
    async end(token, witness) {
      await sql.begin(async (transaction) => {
        const userId = await store.deleteSession(transaction, hashToken(token));
        if (userId !== undefined) await witness?.(transaction, { id: publicId("user", userId) });
      });
    },
    endAll: (userId) => store.deleteSessionsOf(sql, userId),
  };
}

/** Pure. */
export function sessionExpired(session: { created_at: Date; seen_at: Date }, now: Date): boolean {
  const idleMs = now.getTime() - session.seen_at.getTime();
  const ageMs = now.getTime() - session.created_at.getTime();
  return idleMs >= SESSION_IDLE_MS || ageMs >= SESSION_MAX_MS;
}
