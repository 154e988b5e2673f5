import { z } from "zod";
import { AccountPage } from "../../../views/account.tsx";
import { SignInPage } from "../../../views/sign_in.tsx";
import { endedSessionCookie, readSessionCookie, sessionCookie } from "../../identity/cookies.ts";
import type { Identity } from "../../identity/identity.ts";
import { changePassword, signIn } from "../../identity/login.ts";
import type { Database } from "../../platform/database.ts";
import { AppError } from "../../platform/errors.ts";
import { parseId } from "../../platform/ids.ts";
import { silentLog } from "../../platform/log.ts";
import type { Witness } from "../../platform/witness.ts";
import { LOGIN_LIMIT } from "../api/auth.ts";
import { createWitness } from "../api/recorder.ts";
import { problemOf } from "../problem.ts";
import { type Route, type RouteRequest, route } from "../route.ts";
import { action, faultsOf, htmlAnswer, page, seeOther, stylePath } from "./page.ts";
import { localPath, themeCookie, themeOf } from "./visitor.ts";

const OPEN = { tag: "Pages", access: "open", kind: "page", answers: [] } as const;

/** Signing in and out, the look, and one's own password. */
export function signInRoutes({ database, identity }: { database: Database; identity: Identity }): Route[] {
  const witness = createWitness("user");

  return [
    route({
      ...OPEN,
      method: "GET",
      path: "/sign-in",
      summary: "The form for signing in",
      query: z.strictObject({ to: z.string().max(2_000).optional() }),
      handle: ({ query, headers }) =>
        htmlAnswer(
          200,
          SignInPage({ style: stylePath, theme: themeOf(headers), to: localPath(query.to), email: "", fault: null }),
        ),
    }),

    route({
      ...OPEN,
      method: "POST",
      path: "/sign-in",
      summary: "Takes the form",
      limit: LOGIN_LIMIT,
      body: z.strictObject({
        email: z.string().max(254),
        password: z.string().max(1_024),
        to: z.string().max(2_000).default("/"),
      }),
      maxBodyBytes: 16_384,
      async handle(request) {
        const { body, address, headers } = request;
        const to = localPath(body.to);
        try {
          const { userId, user } = await signIn(database, { email: body.email, password: body.password, address });
          const principal = { kind: "user", id: userId, name: user.name || user.email, role: user.role } as const;
          const witnessed = witness({ principal, address }, "login");
          return seeOther(to, { "set-cookie": await startSession(identity, userId, request, witnessed) });
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          const { problem } = problemOf(error, silentLog, "");
          const shown = { style: stylePath, theme: themeOf(headers), to, email: body.email, fault: error.message };
          return htmlAnswer(problem.status, SignInPage(shown));
        }
      },
    }),

    action({
      path: "/sign-out",
      access: "viewer",
      async perform(request) {
        const token = readSessionCookie(request.headers.get("cookie") ?? undefined, identity.https);
        if (token !== null) await identity.sessions.end(token, witness(request, "logout"));
        return seeOther("/sign-in", { "set-cookie": endedSessionCookie(identity.https) });
      },
    }),

    route({
      ...OPEN,
      method: "POST",
      path: "/theme",
      summary: "Keeps a look",
      body: z.strictObject({ theme: z.string().max(10) }),
      handle({ body, headers }) {
        const from = (headers.get("referer") ?? "/").replace(/^[a-z]+:\/\/[^/?]*/i, "");
        return seeOther(localPath(from), { "set-cookie": themeCookie(body.theme) });
      },
    }),

    page({ path: "/account", access: "viewer", show: (_request, frame) => AccountPage({ frame, faults: {} }) }),

    action({
      path: "/account/password",
      access: "viewer",
      async perform(request, frame) {
        const { principal, body, address } = request;
        const change = { old_password: body.old_password ?? "", new_password: body.new_password ?? "" };
        try {
          await changePassword(database, principal, {
            ...change,
            address,
            witness: witness(request, "change_password"),
          });
        } catch (error) {
          return htmlAnswer(422, AccountPage({ frame, faults: faultsOf(error) }));
        }
        if (principal.kind !== "user") return "/sign-in";
        // It ended all sessions, this one too.
        return seeOther("/account?notice=saved", { "set-cookie": await startSession(identity, principal.id, request) });
      },
    }),
  ];
}

/** The Set-Cookie value of a new session. `userId` is a UUID or a public id. */
export async function startSession(
  identity: Identity,
  userId: string,
  { address, headers }: Pick<RouteRequest<unknown, unknown>, "address" | "headers">,
  witness?: Witness,
): Promise<string> {
  const from = { address, userAgent: headers.get("user-agent") ?? "" };
  const token = await identity.sessions.start(parseId("user", userId) ?? userId, from, witness);
  return sessionCookie(token, identity.https);
}
