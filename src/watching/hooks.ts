import { publicId } from "../platform/ids.ts";
import { type Json, JsonError, MAX_REPLY_DEPTH, parseJson } from "../platform/json.ts";
import type { Hook, Plugins, Use } from "../plugins/plugins.ts";
import type { Reply } from "./reply.ts";
import type { PlainRequest, ReadyRequest } from "./request.ts";
import type { StoredWatch } from "./stored_watch.ts";

export type WatchPlugins = Pick<Plugins, "parse" | "sign" | "checkUse" | "versionOf">;

/** The hooks that a watch has a use for. */
export const WATCH_HOOKS: readonly Hook[] = ["parse", "sign"];

/** For a node that was given no plugins: watches that have some fail. */
export const noPlugins: WatchPlugins = {
  parse: async () => NONE,
  sign: async () => NONE,
  checkUse: async (names) => (names.length === 0 ? [] : [{ pointer: "/plugin", message: NONE.fault }]),
  versionOf: () => "",
};

const NONE = { fault: "this node runs without plugins" };

export function pluginNames(plugin: string | string[] | null): string[] {
  return plugin === null ? [] : [plugin].flat();
}

export function useOf(id: string, { name, plugin, plugin_options: options }: StoredWatch): Use | null {
  if (plugin === null || plugin.length === 0) return null;
  return { names: pluginNames(plugin), options, about: { id: publicId("watch", id), name } };
}

type Ended = { kind: "aborted" };
type Failed = Extract<Reply, { kind: "failed" }>;

/** A reply as the watch's plugins read it, or null when it is read as usual: none of them parses, or it is no success. */
export function parsed(
  plugins: WatchPlugins,
  use: Use,
  { status, headers, body }: { status: number; headers: Readonly<Record<string, string>>; body: Uint8Array },
  signal: AbortSignal,
): Promise<Reply | Ended> | null {
  if (status < 200 || status > 299) return null;
  const { "set-cookie": _, ...told } = headers;
  const outcome = plugins.parse(use, { status, headers: told, bytes: body }, signal);
  return (
    outcome?.then((made) => {
      if ("ended" in made) return { kind: "aborted" };
      return "fault" in made ? failed(made.fault) : documentOf(made.text);
    }) ?? null
  );
}

/** The request as the watch's plugins sign it, or null when none of them signs. They get the secret; it is not put on. */
export function signed(
  plugins: WatchPlugins,
  use: Use,
  request: PlainRequest,
  ready: ReadyRequest,
  signal: AbortSignal,
): Promise<
  (Pick<ReadyRequest, "url" | "headers" | "secretHeaders"> & { body: string | null }) | Failed | Ended
> | null {
  const { url, headers } = ready.bare;
  const { method, body } = request;
  const outcome = plugins.sign(use, { method, url, headers: visible(ready), body, secret: ready.credential }, signal);
  return (
    outcome?.then((made) => {
      if ("ended" in made) return { kind: "aborted" };
      if ("fault" in made) return failed(made.fault);
      return {
        url: made.url ?? url,
        headers: { ...headers, ...made.headers },
        body: made.body ?? body,
        // A signature is as good as a credential: it is neither shown nor sent along to another origin.
        secretHeaders: [...ready.secretHeaders, ...Object.keys(made.headers)],
      };
    }) ?? null
  );
}

/** Sealed header values are nobody's business but the source's. */
function visible({ bare, secretHeaders }: ReadyRequest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bare.headers).filter(([name]) => !secretHeaders.includes(name.toLowerCase())),
  );
}

function documentOf(text: string): Reply {
  try {
    const document: Json = parseJson(text, MAX_REPLY_DEPTH);
    return { kind: "document", document };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return failed(`what the plugin made of the reply cannot be used: ${error.message}`);
  }
}

function failed(problem: string): Failed {
  return { kind: "failed", about: "body", problem };
}
