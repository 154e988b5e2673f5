/** Events that DeltaHook states about itself; users cannot send them, and only who names them receives them. */
const SYSTEM_TYPES = new Set(["watch.failing", "watch.recovered", "watch.auth_failed", "watch.held"]);

export function isSystemType(type: string): boolean {
  return SYSTEM_TYPES.has(type) || type.startsWith("endpoint.");
}
