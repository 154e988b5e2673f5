import { afterAll } from "bun:test";
import { closeCluster } from "./database.ts";

// Loaded before the test files (bunfig.toml), so this runs after the last of them.
afterAll(closeCluster);
