import type { PluginInfo } from "../src/plugins/plugins.ts";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Code, Empty, Status } from "./pieces.tsx";

export function PluginsPage({ frame, plugins }: { frame: Frame; plugins: readonly PluginInfo[] }) {
  return (
    <Layout frame={frame} title="Plugins" section="/plugins">
      {plugins.length === 0 ? (
        <Empty title="No plugins are loaded">
          <p>
            A plugin is a TypeScript file in <code>PLUGINS_DIR</code> that changes webhooks before they are sent, or
            reads replies in a format of its own. Files are loaded as soon as they are there.
          </p>
        </Empty>
      ) : (
        plugins.map((plugin) => <Plugin plugin={plugin} canTry={mayEdit(frame)} />)
      )}
    </Layout>
  );
}

function Plugin({ plugin, canTry }: { plugin: PluginInfo; canTry: boolean }) {
  const { name, version, origin, file, hooks, description, options, error } = plugin;
  return (
    <section class="sheet">
      <div class="row">
        <h2>{name}</h2>
        {error ? (
          <Status tone="bad" text={version ? "broken; an earlier version serves" : "broken"} />
        ) : (
          <Status tone="good" text="loaded" />
        )}
        <span class="quiet">{origin === "shipped" ? `${file}, comes with DeltaHook` : file}</span>
      </div>
      {error ? (
        <p class="notice bad break">
          {error.file}
          {error.line === null ? "" : `, line ${error.line}`}: {error.message} Mend the file: it is loaded again by
          itself.
        </p>
      ) : null}
      {description ? <p>{description}</p> : null}
      <p class="quiet">
        Hooks: {hooks.join(", ") || "none"}
        {version ? ` · version ${version}` : ""}
      </p>
      {options ? (
        <details class="more">
          <summary>Options</summary>
          <Code text={JSON.stringify(options, null, 2)} label={`Options of ${name}`} />
        </details>
      ) : null}
      {canTry && version && hooks.length > 0 ? (
        <div class="actions">
          <a class="button" href={`/plugins/${name}/try`}>
            Try {name}
          </a>
        </div>
      ) : null}
    </section>
  );
}
