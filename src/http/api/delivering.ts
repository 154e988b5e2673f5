import type { CheckUrl } from "../../delivering/input.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import type { Route } from "../route.ts";
import { deadLetterRoutes } from "./dead_letters.ts";
import { deliveryRoutes } from "./deliveries.ts";
import { endpointRoutes } from "./endpoints.ts";
import { eventRoutes } from "./events.ts";
import { listenRoutes } from "./listen.ts";
import { operationRoutes } from "./operations.ts";

/** All routes of the room that delivers. */
export function deliveringRoutes(deps: { database: Database; resources: Resources; checkUrl: CheckUrl }): Route[] {
  const parts = { ...deps.resources, ...deps };
  return [
    ...endpointRoutes(parts),
    ...eventRoutes(parts),
    ...deliveryRoutes(parts),
    ...deadLetterRoutes(parts),
    ...operationRoutes(parts),
    ...listenRoutes(parts),
  ];
}
