import type { Server } from "bun";
import { createPublish, type Publish } from "../../src/delivering/publish.ts";
import { createSubscriptions } from "../../src/delivering/subscriptions.ts";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
