import { resolve } from "node:path";
import type { CheckUrl } from "../../delivering/input.ts";
import { endpointRoutes } from "../../http/api/endpoints.ts";
import { pluginRoutes } from "../../http/api/plugins.ts";
import { secretRoutes } from "../../http/api/secrets.ts";
import { watchRoutes } from "../../http/api/watches.ts";
import { createServer } from "../../http/server.ts";
import type { Principal } from "../../identity/principal.ts";
import { parseAllowedNetworks } from "../../platform/addresses.ts";
import { createClock } from "../../platform/clock.ts";
import { loadKeys } from "../../platform/keys.ts";
import { PLAY, SAMPLE, withInside } from "../../platform/outbound/inside.ts";
import { createOutbound } from "../../platform/outbound.ts";
import { createRollups } from "../../platform/rollups.ts";
import { startPlugins } from "../../plugins/plugins.ts";
import { createRooms } from "../../rooms.ts";
import { usage } from "../failure.ts";
import { type Opened, withDatabase } from "../opened.ts";
import { type Api, serverApi } from "./api.ts";

export type DoorOptions = { server?: string; apiKey?: string };

/** The API, and what is wrong with an address as far as can be told from here. */
export type Door = { api: Api; checkUrl: CheckUrl };

const INSIDE = "http://127.0.0.1";
const COMMAND_LINE: Principal = { kind: "cli", id: null, name: "command line", role: "admin" };

/** Does work through a server, or without one through the same routes, on the database of the settings. */
export async function withDoor<T>(options: DoorOptions, work: (door: Door) => Promise<T>): Promise<T> {
  const { server, apiKey } = options;
  if (server === undefined) return withDatabase((opened) => throughDatabase(opened, work));
  if (apiKey === undefined) throw usage("--server needs --api-key, or HOOKSHOT_API_KEY in the environment.");
  if (!URL.parse(server)?.protocol.startsWith("http"))
    throw usage(`--server ${server}: write an http or https address.`);
  return work({ api: serverApi({ server, apiKey }), checkUrl: anyNetwork() });
}

async function throughDatabase<T>(opened: Opened, work: (door: Door) => Promise<T>): Promise<T> {
  const { config, database, log } = opened;
  const clock = createClock();
  await clock.synchronise(database.sql);
  const plugins = await startPlugins({ folder: resolve(config.PLUGINS_DIR ?? "plugins"), log });
  const rollups = createRollups("command line");
  const keys = loadKeys(config, opened.dataDir, log);
  const { resources, watching, secrets, receivers } = createRooms({
    config,
    keys,
    database,
    clock,
    log,
    rollups,
    plugins,
  });
  const { checkUrl } = receivers;
  const server = createServer({
    routes: [
      ...secretRoutes({ secrets }),
      ...endpointRoutes({ database, ...resources, checkUrl }),
      ...watchRoutes({ database, ...watching }),
      ...pluginRoutes({ plugins }),
    ],
    publicUrl: INSIDE,
    authenticate: async () => ({ ok: true, principal: COMMAND_LINE, via: "api_key" }),
    renderProblem: ({ detail }) => detail,
    log,
  });
  const api: Api = async (method, path, body) => {
    const headers = { "content-type": "application/json" };
    const request = new Request(INSIDE + path, { method, ...(body === undefined ? {} : { headers, body }) });
    const answer = await server.handle(request);
    return { status: answer.status, text: await answer.text() };
  };
  try {
    return await work({ api, checkUrl });
  } finally {
    await server.stop();
    await watching.finish();
    await plugins.stop();
  }
}

/** Which networks a server may reach, that server alone knows. */
function anyNetwork(): CheckUrl {
  const outbound = createOutbound({ allowedNetworks: parseAllowedNetworks(["0.0.0.0/0", "::/0"]) });
  return withInside(outbound, { ...SAMPLE, ...PLAY }, Date.now).checkUrl;
}
