import { type User, type Users, userBody, userPatch } from "../../identity/users.ts";
import { exampleId, listExample, listQuery, pageAnswer, pageOf } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Users";
const EXAMPLE: User = {
  id: exampleId("user"),
  email: "ada@example.com",
  name: "Ada",
  role: "editor",
  disabled: false,
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:00.000Z",
};

/** People, for admins only. */
export function userRoutes({ users }: { users: Users }): Route[] {
  const witness = createWitness("user");

  return [
    route({
      method: "GET",
      path: "/v1/users",
      summary: "List users",
      tag: TAG,
      access: "admin",
      query: listQuery,
      answers: [{ status: 200, description: "A page of users, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("user", await users.list(pageOf("user", query))),
    }),

    route({
      method: "POST",
      path: "/v1/users",
      summary: "Create a user",
      tag: TAG,
      access: "admin",
      body: userBody,
      bodyExample: { email: "ada@example.com", name: "Ada", role: "editor", password: "correct horse battery staple" },
      answers: [{ status: 201, description: "The user", example: EXAMPLE }],
      async handle(request) {
        const witnessed = witness<User>(request, "create", ({ email, role }) => ({ email, role }));
        const user = await users.create(request.body, witnessed);
        return { status: 201, body: user };
      },
    }),

    route({
      method: "GET",
      path: "/v1/users/:id",
      summary: "Show a user",
      tag: TAG,
      access: "admin",
      answers: [{ status: 200, description: "The user", example: EXAMPLE }],
      handle: async ({ id }) => ({ status: 200, body: await users.get(id) }),
    }),

    route({
      method: "PATCH",
      path: "/v1/users/:id",
      summary: "Change a user; disabling or a new password ends all their sessions",
      tag: TAG,
      access: "admin",
      body: userPatch,
      bodyExample: { role: "viewer", disabled: false },
      answers: [{ status: 200, description: "The user as it is now", example: EXAMPLE }],
      async handle(request) {
        const changed = Object.keys(request.body);
        const witnessed = witness<User>(request, "update", ({ role }) => ({ changed, role }));
        const user = await users.patch(request.id, request.body, witnessed);
        return { status: 200, body: user };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/users/:id",
      summary: "Delete a user",
      tag: TAG,
      access: "admin",
      answers: [{ status: 204, description: "Deleted" }],
      async handle(request) {
        await users.delete(request.id, witness(request, "delete"));
        return { status: 204 };
      },
    }),
  ];
}
