import { ApiKeysPage, type ApiKeysProps } from "../../../views/api_keys.tsx";
import type { Frame } from "../../../views/layout.tsx";
import { type ApiKey, type ApiKeys, apiKeyBody } from "../../identity/api_keys.ts";
import { publicId } from "../../platform/ids.ts";
import { createWitness } from "../api/recorder.ts";
import type { Route } from "../route.ts";
import { validate } from "../validation.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";

/** Keys for programs, never above the role of who makes them. */
export function apiKeyPages({ apiKeys }: { apiKeys: ApiKeys }): Route[] {
  const witness = createWitness("api_key");

  async function show(
    frame: Frame,
    before: string | null,
    more: Partial<Pick<ApiKeysProps, "made" | "form" | "faults">>,
  ) {
    const cursor = before === null ? undefined : publicId("apiKey", before);
    const { data, next } = await apiKeys.list({ limit: PAGE_ROWS, cursor });
    const pager = pagerOf("/api-keys", {}, { before, next });
    return ApiKeysPage({
      frame,
      keys: data,
      pager,
      made: null,
      form: { name: "", role: "editor" },
      faults: {},
      ...more,
    });
  }

  return [
    page({
      path: "/api-keys",
      access: "viewer",
      query: { before: beforeQuery("apiKey") },
      show: ({ query: { before } }, frame) => show(frame, before, {}),
    }),

    action({
      path: "/api-keys",
      access: "editor",
      async perform(request, frame) {
        const { name = "", role = "" } = request.body;
        try {
          const body = validate(apiKeyBody, { name, role }, "form");
          const witnessed = witness<ApiKey>(request, "create", { name: body.name, role: body.role });
          const made = await apiKeys.create(request.principal, body, witnessed);
          return htmlAnswer(200, await show(frame, null, { made }));
        } catch (error) {
          return htmlAnswer(422, await show(frame, null, { form: { name, role }, faults: faultsOf(error) }));
        }
      },
    }),

    action({
      path: "/api-keys/:id/delete",
      access: "editor",
      async perform(request) {
        await apiKeys.delete(request.principal, request.id, witness(request, "delete"));
        return withNotice("/api-keys", "deleted");
      },
    }),
  ];
}
