import { errors, jwtVerify, SignJWT } from "jose";
import type { Database } from "../platform/database.ts";
import { publicId } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import type { Principal } from "./principal.ts";
import * as store from "./store/users.ts";

export const LOGIN_TOKEN_MS = 3_600_000;

const ISSUER = "deltahook";
const AUDIENCE = "deltahook/v1";

export type LoginTokens = {
  /** A JWT (HS256, RFC 7519) for the API, good for an hour. */
  issue(userId: string, now?: Date): Promise<{ token: string; expiresAt: Date }>;
  /** `unknown`: forged, given back at logout, or outlived by a password change or a disabled account. */
  find(token: string, now?: Date): Promise<Principal | "expired" | "unknown">;
  /** Ends one token at once, on all nodes. Anything that is no valid token is ignored. */
  revoke(token: string, witness?: Witness, now?: Date): Promise<void>;
};

type Claims = { userId: string; tokenId: string; generation: number; expiresAt: Date };

export function createLoginTokens({ sql }: Database, jwtSecret: string): LoginTokens {
  const key = new TextEncoder().encode(jwtSecret);

  return {
    async issue(userId, now = new Date()) {
      const user = await store.findUser(sql, userId);
      const expiresAt = new Date(Math.floor(now.getTime() / 1000) * 1000 + LOGIN_TOKEN_MS);
      const token = await new SignJWT({ gen: user?.login_generation ?? 0 })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(userId)
        .setJti(crypto.randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(expiresAt)
        .sign(key);
      return { token, expiresAt };
    },

    async find(token, now = new Date()) {
      const claims = await verifyClaims(key, token, now);
      if (typeof claims === "string") return claims;
      const row = await store.findTokenUser(sql, claims.userId, claims.tokenId);
      if (!row || row.revoked || row.login_generation !== claims.generation) return "unknown";
      return { kind: "user", id: row.id, name: row.name || row.email, role: row.role };
    },

    async revoke(token, witness, now = new Date()) {
      const claims = await verifyClaims(key, token, now);
      if (typeof claims === "string") return;
      await sql.begin(async (transaction) => {
        await store.revokeToken(transaction, claims.tokenId, claims.expiresAt);
        await witness?.(transaction, { id: publicId("user", claims.userId) });
      });
    },
  };
}

async function verifyClaims(key: Uint8Array, token: string, now: Date): Promise<Claims | "expired" | "unknown"> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["HS256"],
      issuer: ISSUER,
      audience: AUDIENCE,
      currentDate: now,
      requiredClaims: ["sub", "jti", "exp", "iat", "gen"],
    });
    const { sub = "", jti = "", exp = 0, gen } = payload;
    return { userId: sub, tokenId: jti, generation: Number(gen), expiresAt: new Date(exp * 1000) };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return "expired";
    if (error instanceof errors.JOSEError) return "unknown";
    throw error;
  }
}
