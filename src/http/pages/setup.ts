import { z } from "zod";
import { NoticePage } from "../../../views/notice.tsx";
import { SetupPage } from "../../../views/setup.tsx";
import type { Identity } from "../../identity/identity.ts";
import { claimSetup, isSetupLinkGood } from "../../identity/setup.ts";
import type { User } from "../../identity/users.ts";
import type { Database } from "../../platform/database.ts";
import { AppError } from "../../platform/errors.ts";
import { createWitness } from "../api/recorder.ts";
import { exampleId } from "../lists.ts";
import { type Route, type RouteRequest, route } from "../route.ts";
import { faultsOf, htmlAnswer, seeOther, stylePath } from "./page.ts";
import { startSession } from "./sign_in.ts";
import { themeOf } from "./visitor.ts";

/** Each try may cost a password hash, and nobody needs many. */
const SETUP_LIMIT = { max: 30, perMs: 60_000 };

const setupBody = z.strictObject({
  token: z.string().max(200),
  email: z.string().max(254),
  password: z.string().max(1024),
});
type SetupBody = z.infer<typeof setupBody>;

/** The first account, by the one-time link that the server prints: as a page, and for programs. */
export function setupRoutes({ database, identity }: { database: Database; identity: Identity }): Route[] {
  const witness = createWitness("user");

  async function claim(request: RouteRequest<unknown, SetupBody>) {
    const { token, email, password } = request.body;
    return claimSetup(
      database,
      token,
      { email, password },
      witness<User>(request, "set_up", (made) => ({ email: made.email })),
    );
  }

  return [
    route({
      method: "GET",
      path: "/setup",
      summary: "The form for the first account",
      tag: "Setup",
      access: "open",
      kind: "page",
      limit: SETUP_LIMIT,
      query: z.strictObject({ token: z.string().max(200).default("") }),
      answers: [],
      async handle({ query: { token }, headers }) {
        const theme = themeOf(headers);
        if (await isSetupLinkGood(database, token)) {
          return htmlAnswer(200, SetupPage({ style: stylePath, theme, token, email: "", faults: {} }));
        }
        const title = "This link is not good any more";
        const text =
          "It works once, and only until the first account exists. The newest link is in the server's output; restart the server to get another one.";
        return htmlAnswer(
          403,
          NoticePage({ style: stylePath, theme, title, text, back: { href: "/sign-in", text: "Sign in" } }),
        );
      },
    }),

    route({
      method: "POST",
      path: "/setup",
      summary: "Takes the form",
      tag: "Setup",
      access: "open",
      kind: "page",
      limit: SETUP_LIMIT,
      body: setupBody,
      maxBodyBytes: 16_384,
      answers: [],
      async handle(request) {
        try {
          const user = await claim(request);
          return seeOther("/?notice=ready", { "set-cookie": await startSession(identity, user.id, request) });
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== "invalid") throw error;
          const { token, email } = request.body;
          const shown = { style: stylePath, theme: themeOf(request.headers), token, email, faults: faultsOf(error) };
          return htmlAnswer(422, SetupPage(shown));
        }
      },
    }),

    route({
      method: "POST",
      path: "/v1/setup",
      summary: "Create the first account, by the token of the one-time link that the server prints",
      tag: "Login",
      access: "open",
      limit: SETUP_LIMIT,
      body: setupBody,
      bodyExample: {
        token: "Tn0bq1L0uY5cQ3m7KJv8sRw2ZdEhGpXoUiT4aB9f2Ax",
        email: "ada@example.com",
        password: "correct horse battery staple",
      },
      answers: [
        {
          status: 201,
          description: "The admin",
          example: {
            id: exampleId("user"),
            email: "ada@example.com",
            name: "",
            role: "admin",
            disabled: false,
            created_at: "2026-11-21T20:00:00.000Z",
            updated_at: "2026-11-21T20:00:00.000Z",
          },
        },
      ],
      handle: async (request) => ({ status: 201, body: await claim(request) }),
    }),
  ];
}
