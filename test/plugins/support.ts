import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../src/platform/log.ts";
import { type Plugins, startPlugins, type TransformInput, type Use } from "../../src/plugins/plugins.ts";

export type Host = {
  plugins: Plugins;
  folder: string;
  /** Everything logged so far. */
  logged(): string;
  /** Writes a file into the folder, in one step. */
  write(file: string, text: string): void;
  stop(): Promise<void>;
};

/** The room, with a folder of its own that holds these files. */
export async function startHost(files: Record<string, string> = {}): Promise<Host> {
  const folder = mkdtempSync(join(tmpdir(), "deltahook-plugins-"));
  const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
  for (const [file, text] of Object.entries(files)) write(file, text);
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
  const plugins = await startPlugins({ folder, log });
  return {
    plugins,
    folder,
    logged: () => lines.join(""),
    write,
    async stop() {
      await plugins.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A file with a plugin of that name, from the members after its name. */
export function pluginText(name: string, members: string): string {
  return `import { definePlugin, jsonpath, z } from "deltahook/plugin";
void [jsonpath, z];
export default definePlugin({ name: ${JSON.stringify(name)}, ${members} });
`;
}

export function use(names: string | string[], options: unknown = {}): Use {
  return {
    names: [names].flat(),
    options,
    about: { id: "ep_1", name: "Billing", url: "https://billing.example.com/hooks" },
  };
}

export function event(data: unknown = { n: 1 }, more: Partial<TransformInput> = {}): TransformInput {
  return {
    id: "evt_1",
    type: "order.paid",
    timestamp: "2026-11-21T20:22:00.123Z",
    data: typeof data === "string" ? data : JSON.stringify(data),
    bare: false,
    ...more,
  };
}

/** The JSON body that a plugin made. */
export async function bodyOf(host: Host, plugin: Use, input: TransformInput): Promise<unknown> {
  const made = await host.plugins.transform(plugin, input);
  if (!("skipped" in made) || made.skipped || made.body === null) throw new Error(`no body: ${JSON.stringify(made)}`);
  return JSON.parse(made.body);
}

export async function until(holds: () => boolean, timeoutMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after ${timeoutMs} ms`);
    await Bun.sleep(20);
  }
}
