import { z } from "zod";
import { createWitness } from "../api/recorder.ts";
import { PLAY_SOURCE } from "../play_store.ts";
import type { Route } from "../route.ts";
import { withNotice } from "./notices.ts";
import { action, page } from "./page.ts";
import { BUILDER_BYTES, type BuilderDeps, watchBuilder } from "./watch_builder.ts";
import { watchFormOf } from "./watch_form.ts";

/** A first watch that needs no other program: of the built-in source, for the built-in receiver. */
const SAMPLE = {
  source: PLAY_SOURCE,
  every: "2s",
  name: "Sample order",
  event_type: "sample.order.changed",
  play: "on",
};

/** A new watch: paste an address, try it, click what to look at, save. */
export function newWatchPages(deps: BuilderDeps): Route[] {
  const { watches } = deps.watching;
  const builder = watchBuilder(deps);
  const witness = createWitness("watch");

  return [
    page({
      path: "/watches/new",
      access: "editor",
      query: { from: z.enum(["sample"]).optional() },
      show: ({ query: { from } }, frame) => builder.showForm(frame, watchFormOf(from ? SAMPLE : {}), null, {}),
    }),

    action({
      path: "/watches",
      access: "editor",
      maxBodyBytes: BUILDER_BYTES,
      perform: (request, frame) =>
        builder.perform(request, frame, null, async (input) => {
          const [watch] = await watches.create([input], undefined, witness(request, "create", { name: input.name }));
          if (!watch) throw new Error("a watch was created and not answered");
          return withNotice(`/watches/${watch.id}`, "created");
        }),
    }),
  ];
}
