import { endedSessionCookie, readSessionCookie } from "../../identity/cookies.ts";
import type { Identity } from "../../identity/identity.ts";
import { changePassword, loginBody, passwordBody, signIn } from "../../identity/login.ts";
import type { Database } from "../../platform/database.ts";
import { AppError } from "../../platform/errors.ts";
import { type Route, route } from "../route.ts";
import { createRecorder, createWitness } from "./recorder.ts";

/** Beside the throttle on accounts: each try costs a password hash, known account or not. */
export const LOGIN_LIMIT = { max: 30, perMs: 60_000 };

const TAG = "Login";

/** Login by email and password for programs; the token it gives is good for an hour. */
export function authRoutes({ database, identity }: { database: Database; identity: Identity }): Route[] {
  const record = createRecorder(database, "user");
  const witness = createWitness("user");

  return [
    route({
      method: "POST",
      path: "/v1/auth/login",
      summary: "Log in: answers a token for the Authorization header",
      tag: TAG,
      access: "open",
      limit: LOGIN_LIMIT,
      body: loginBody,
      maxBodyBytes: 16_384,
      bodyExample: { email: "ada@example.com", password: "correct horse battery staple" },
      answers: [
        {
          status: 200,
          description: "The token and when it expires",
          example: { token: "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", expires_at: "2026-11-21T21:00:00.000Z" },
        },
      ],
      async handle({ body, address }) {
        const { userId, user } = await signIn(database, { ...body, address });
        const { token, expiresAt } = await identity.loginTokens.issue(userId);
        const principal = { kind: "user", id: userId, name: user.name || user.email, role: user.role } as const;
        await record({ principal, address }, "login", user.id);
        return { status: 200, body: { token, expires_at: expiresAt.toISOString() } };
      },
    }),

    route({
      method: "POST",
      path: "/v1/auth/logout",
      summary: "Give the login token or session back",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 204, description: "It is good for nothing any more" }],
      async handle(request) {
        const { principal, headers } = request;
        if (principal.kind !== "user") {
          throw new AppError("forbidden", "An API key does not log out; DELETE /v1/api-keys/:id takes it back.");
        }
        const authorization = headers.get("authorization");
        const session = authorization ? null : readSessionCookie(headers.get("cookie") ?? undefined, identity.https);
        const witnessed = witness(request, "logout");
        if (authorization) await identity.loginTokens.revoke(authorization.replace(/^Bearer +/i, "").trim(), witnessed);
        if (session) await identity.sessions.end(session, witnessed);
        return { status: 204, ...(session ? { headers: { "set-cookie": endedSessionCookie(identity.https) } } : {}) };
      },
    }),

    route({
      method: "POST",
      path: "/v1/auth/password",
      summary: "Change your own password; ends all your sessions and login tokens",
      tag: TAG,
      access: "viewer",
      body: passwordBody,
      bodyExample: { old_password: "correct horse battery staple", new_password: "a much better one than that" },
      answers: [{ status: 204, description: "Changed; log in again" }],
      async handle(request) {
        const { principal, body, address } = request;
        await changePassword(database, principal, { ...body, address, witness: witness(request, "change_password") });
        return { status: 204 };
      },
    }),
  ];
}
