import { PluginsPage } from "../../../views/plugins.tsx";
import type { PluginInfo } from "../../plugins/plugins.ts";
import type { Route } from "../route.ts";
import { page } from "./page.ts";

/** What is loaded, and what could not be. */
export function pluginPages({ list }: { list(): readonly PluginInfo[] }): Route[] {
  return [
    page({
      path: "/plugins",
      access: "viewer",
      show: (_request, frame) => PluginsPage({ frame, plugins: list() }),
    }),
  ];
}
