export const COMMON_PASSWORDS: ReadonlySet<string> = new Set<string>();
