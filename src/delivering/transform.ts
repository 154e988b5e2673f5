import { publicId, uuidTime } from "../platform/ids.ts";
import type { Plugins, TransformValue, Use } from "../plugins/plugins.ts";
import type { Endpoint } from "./endpoint.ts";
import { webhookId } from "./envelope.ts";
import type { TryResult } from "./outcome.ts";
import type { Owed } from "./store.ts";

export type Transform = Plugins["transform"];

/** What plugins made of a delivery: `body` null when they left it as it was; `plugins` is JSON text, for the record. */
export type Made = Extract<TransformValue, { skipped: false }>;

/** Nothing is sent, and why. */
export type Unsent = { unsent: TryResult; plugins: string | null };

/** Runs an endpoint's plugins. Whatever goes wrong with them, the event is not sent untransformed. */
export async function transformed(
  transform: Transform,
  owed: Owed,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Made | Unsent> {
  const event = { id: owed.eventId, originalId: owed.originalId };
  const made = await transform(
    useOf(endpoint),
    {
      id: webhookId(event),
      type: owed.type,
      timestamp: new Date(uuidTime(owed.originalId ?? owed.eventId)).toISOString(),
      data: owed.data,
      bare: owed.target !== null,
    },
    signal,
  );
  if ("ended" in made) return { unsent: { kind: "interrupted" }, plugins: null };
  if ("fault" in made) {
    return { unsent: { kind: "fault", fault: "plugin", message: `Not sent, since ${made.fault}.` }, plugins: null };
  }
  return made.skipped ? { unsent: { kind: "skipped" }, plugins: made.plugins } : made;
}

/** For a node that was given no plugins. */
export const noPlugins: Transform = async () => ({ fault: "this node runs without plugins" });

const uses = new WeakMap<Endpoint, Use>();

/** Once per revision, since its texts are kept with it. */
function useOf(endpoint: Endpoint): Use {
  let use = uses.get(endpoint);
  if (!use) {
    const { id, name, url, plugin, pluginOptions } = endpoint;
    use = { names: plugin, options: pluginOptions, about: { id: publicId("endpoint", id), name, url } };
    uses.set(endpoint, use);
  }
  return use;
}
