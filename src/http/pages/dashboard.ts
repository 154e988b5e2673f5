import type { CheckUrl } from "../../delivering/input.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Identity } from "../../identity/identity.ts";
import type { Config } from "../../platform/config.ts";
import type { Database } from "../../platform/database.ts";
import type { Plugins } from "../../plugins/plugins.ts";
import type { Secrets } from "../../vault/secrets.ts";
import type { Watching } from "../../watching/watching.ts";
import type { Route } from "../route.ts";
import { apiKeyPages } from "./api_keys.ts";
import { deadLetterPages } from "./dead_letters.ts";
import { deliveryPages } from "./deliveries.ts";
import { editWatchPages } from "./edit_watch.ts";
import { endpointPages } from "./endpoints.ts";
import { liveRoutes } from "./live.ts";
import { newWatchPages } from "./new_watch.ts";
import { operationPages } from "./operations.ts";
import { overviewRoutes } from "./overview.ts";
import { peoplePages } from "./people.ts";
import { playPages } from "./play.ts";
import { pluginPages } from "./plugins.ts";
import { recordPages } from "./records.ts";
import { secretPages } from "./secrets.ts";
import { signInRoutes } from "./sign_in.ts";
import { watchPages } from "./watches.ts";

export type DashboardDeps = {
  database: Database;
  identity: Identity;
  resources: Resources;
  watching: Pick<Watching, "watches" | "runs" | "preview">;
  secrets: Secrets;
  config: Config;
  checkUrl: CheckUrl;
  /** Without it the page of plugins has none to show. */
  plugins?: Pick<Plugins, "list" | "try">;
};

/** All pages for people. */
export function dashboardRoutes(deps: DashboardDeps): Route[] {
  return [
    ...signInRoutes(deps),
    ...overviewRoutes(deps),
    ...liveRoutes(deps),
    ...newWatchPages(deps),
    ...editWatchPages(deps),
    ...watchPages(deps),
    ...endpointPages(deps),
    ...deliveryPages(deps),
    ...deadLetterPages(deps),
    ...operationPages(deps),
    ...playPages(deps),
    ...secretPages(deps),
    ...apiKeyPages({ apiKeys: deps.identity.apiKeys }),
    ...peoplePages({ users: deps.identity.users }),
    ...pluginPages(deps),
    ...recordPages(deps),
  ];
}
