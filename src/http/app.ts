import type { Identity } from "../identity/identity.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Secrets } from "../vault/secrets.ts";
import { apiKeyRoutes } from "./api/api_keys.ts";
import { auditRoutes } from "./api/audit.ts";
import { authRoutes } from "./api/auth.ts";
import { healthRoutes, type Readiness } from "./api/health.ts";
import { metricsRoutes } from "./api/metrics.ts";
import { secretRoutes } from "./api/secrets.ts";
import { statsRoutes } from "./api/stats.ts";
import { userRoutes } from "./api/users.ts";
import { docsRoutes } from "./docs.ts";
import { pageAssets, renderProblem } from "./pages/page.ts";
import { setupRoutes } from "./pages/setup.ts";
import type { Route } from "./route.ts";
import { createServer, type HttpServer } from "./server.ts";
import { streamRoutes } from "./stream.ts";

export type AppOptions = {
  /** A `worker` answers only whether it is well. */
  role?: "all" | "web" | "worker";
  database: Database;
  identity: Identity;
  secrets: Secrets;
  rollups: Rollups;
  readiness: Readiness;
  /** The routes of watches, endpoints, events and so on. */
  routes: readonly Route[];
  /** Where users reach this server, without a slash at its end. */
  publicUrl: string;
  metricsPublic: boolean;
  log: Log;
};

/** The whole table of routes, and the server that answers them. */
export function createApp(options: AppOptions): { routes: Route[]; server: HttpServer } {
  const { database, identity, publicUrl, log } = options;
  const operation = [
    ...healthRoutes({ readiness: options.readiness }),
    ...metricsRoutes({ database, rollups: options.rollups, isPublic: options.metricsPublic }),
  ];
  const api = [
    ...authRoutes({ database, identity }),
    ...userRoutes({ users: identity.users }),
    ...apiKeyRoutes({ apiKeys: identity.apiKeys }),
    ...secretRoutes({ secrets: options.secrets }),
    ...options.routes,
    ...statsRoutes({ database }),
    ...streamRoutes({ database }),
    ...auditRoutes({ database }),
    ...operation,
    ...setupRoutes({ database, identity }),
  ];
  const routes = options.role === "worker" ? operation : [...api, ...docsRoutes(api, publicUrl), ...pageAssets];
  const server = createServer({ routes, publicUrl, authenticate: identity.authenticate, renderProblem, log });
  return { routes, server };
}
