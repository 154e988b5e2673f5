import { type Frame, Layout } from "./layout.tsx";

/** One setting as it is in force; secret values are not among them. */
export type ShownSetting = { name: string; value: string; isDefault: boolean; meaning: string };

export function SettingsPage({
  frame,
  settings,
  version,
}: {
  frame: Frame;
  settings: ShownSetting[];
  version: string;
}) {
  return (
    <Layout frame={frame} title="Settings" section="/settings">
      <p class="quiet">
        DeltaHook {version}. Settings come from the environment when the server starts, and are changed there.
      </p>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">In force</th>
              <th scope="col">Meaning</th>
            </tr>
          </thead>
          <tbody>
            {settings.map(({ name, value, isDefault, meaning }) => (
              <tr>
                <td>
                  <code>{name}</code>
                </td>
                <td class="mono break">
                  {value} {isDefault ? <span class="quiet small">default</span> : null}
                </td>
                <td class="quiet">{meaning.replaceAll("`", "")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Layout>
  );
}
