import { PeoplePage, PersonPage } from "../../../views/people.tsx";
import { type User, type Users, userBody, userPatch } from "../../identity/users.ts";
import { publicId } from "../../platform/ids.ts";
import { createWitness } from "../api/recorder.ts";
import type { Route } from "../route.ts";
import { validate } from "../validation.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";

/** Who may come in, for admins. */
export function peoplePages({ users }: { users: Users }): Route[] {
  const witness = createWitness("user");

  return [
    page({
      path: "/people",
      access: "admin",
      query: { before: beforeQuery("user") },
      async show({ query: { before } }, frame) {
        const cursor = before === null ? undefined : publicId("user", before);
        const { data, next } = await users.list({ limit: PAGE_ROWS, cursor });
        return PeoplePage({ frame, people: data, pager: pagerOf("/people", {}, { before, next }) });
      },
    }),

    page({
      path: "/people/new",
      access: "admin",
      show: (_request, frame) => PersonPage({ frame, person: null, form: formOf({ role: "viewer" }), faults: {} }),
    }),

    action({
      path: "/people",
      access: "admin",
      async perform(request, frame) {
        const { email, name = "", role, password } = request.body;
        try {
          const person = validate(userBody, { email, name, role, password }, "form");
          await users.create(person, witness<User>(request, "create", { email: person.email, role: person.role }));
          return withNotice("/people", "created");
        } catch (error) {
          const shown = { frame, person: null, form: formOf(request.body), faults: faultsOf(error) };
          return htmlAnswer(422, PersonPage(shown));
        }
      },
    }),

    page({
      path: "/people/:id",
      access: "admin",
      async show({ id }, frame) {
        const person = await users.get(id);
        return PersonPage({ frame, person, form: person, faults: {} });
      },
    }),

    action({
      path: "/people/:id",
      access: "admin",
      async perform(request, frame) {
        const person = await users.get(request.id);
        const { email, name, role, password } = request.body;
        const disabled = request.body.disabled === "on";
        try {
          const patch = validate(userPatch, { email, name, role, disabled, ...(password ? { password } : {}) }, "form");
          await users.patch(request.id, patch, witness<User>(request, "update", { changed: Object.keys(patch), role }));
          return withNotice(`/people/${request.id}`, "saved");
        } catch (error) {
          const shown = { frame, person, form: formOf(request.body), faults: faultsOf(error) };
          return htmlAnswer(422, PersonPage(shown));
        }
      },
    }),

    action({
      path: "/people/:id/delete",
      access: "admin",
      async perform(request) {
        await users.delete(request.id, witness(request, "delete"));
        return withNotice("/people", "deleted");
      },
    }),
  ];
}

function formOf({ email = "", name = "", role = "viewer", disabled = "" }: Record<string, string>) {
  return { email, name, role, disabled: disabled === "on" };
}
