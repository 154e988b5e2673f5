/** Every table that a backup holds, in an order in which no row points to one that is not there yet. */
export const SAVED = [
  "users",
  "passwords",
  "known_addresses",
  "revoked_tokens",
  "api_keys",
  "audit_log",
  "secrets",
  "watches",
  "watch_schedule",
  "watch_status",
  "watch_state",
  "watch_bodies",
  "hosts",
  "host_holds",
  "endpoints",
  "endpoint_health",
  "listeners",
  "operations",
  "idempotency_keys",
  "dead_letters",
  "events",
  "deliveries",
  "attempts",
  "polls",
  "polls_unchanged",
  "rollups",
  "rollup_hours",
] as const;

/** Every other one, and why. */
export const LEFT_OUT: Record<string, string> = {
  migrations: "written by the migrations that the restored database goes through",
  partitioned: "written by migrations",
  subscriptions: "a number that running nodes compare",
  nodes: "who is alive at the moment",
  sessions: "people sign in again",
  setup_links: "for a database without users",
  login_throttle: "guesses of the last minutes",
  oauth_tokens: "fetched again with their secret",
  oauth_fetches: "who fetches a token at the moment",
  listen_requests: "tries under way at the moment",
};

/** What a server counts by itself as soon as it runs: no reason to take its database for used. */
export const COUNTERS: readonly string[] = ["rollups", "rollup_hours"];
