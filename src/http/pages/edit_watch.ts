import { z } from "zod";
import { AppError } from "../../platform/errors.ts";
import { patchBetween } from "../../platform/merge_patch.ts";
import { createWitness } from "../api/recorder.ts";
import type { Route } from "../route.ts";
import { withNotice } from "./notices.ts";
import { action, page } from "./page.ts";
import { BUILDER_BYTES, type BuilderDeps, definitionOf, textOf, watchBuilder } from "./watch_builder.ts";
import { formOfWatch, wordedAs } from "./watch_form.ts";

const NO_PLACE = "The form has no place for all of this watch, so it is edited as the API has it.";

/** A watch in the same builder that made it. Only what was changed is written. */
export function editWatchPages(deps: BuilderDeps): Route[] {
  const { watches } = deps.watching;
  const builder = watchBuilder(deps);
  const witness = createWitness("watch");

  return [
    page({
      path: "/watches/:id/edit",
      access: "editor",
      query: { as: z.enum(["json"]).optional() },
      async show({ id, query }, frame) {
        const watch = await watches.get(id);
        const definition = definitionOf(watch);
        const form = formOfWatch(definition);
        if (form && query.as === undefined) return builder.showForm(frame, form, watch, {});
        return builder.showJson(frame, textOf(definition), watch, form ? {} : { notice: NO_PLACE });
      },
    }),

    action({
      path: "/watches/:id/edit",
      access: "editor",
      maxBodyBytes: BUILDER_BYTES,
      async perform(request, frame) {
        const watch = await watches.get(request.id);
        const { version, ...body } = request.body;
        return builder.perform({ ...request, body }, frame, watch, async (input, fromForm) => {
          if (version !== undefined && version !== watch.updated_at) throw changedMeanwhile();
          const before = definitionOf(watch);
          const after = fromForm ? wordedAs(before, input) : input;
          const patch = patchBetween(before, after) as object;
          const changed = Object.keys(patch);
          // The whole takes its place: in a merge patch, a null inside a body would take its member away.
          if (changed.length > 0) {
            await watches.patch(watch.id, patch, () => after, witness(request, "update", { changed }));
          }
          return withNotice(`/watches/${watch.id}`, "saved");
        });
      },
    }),
  ];
}

function changedMeanwhile(): AppError {
  const message = "The watch was changed by somebody else meanwhile. Saving again puts this in the place of that.";
  return new AppError("conflict", message);
}
