import type { Json } from "../platform/json.ts";
import type { CompiledWatch } from "./compile.ts";
import type { Hash } from "./extract.ts";
import type { WatchState } from "./state.ts";

/** One successful reply, and what it is judged against. */
export type Poll = {
  watch: CompiledWatch;
  /** `null` or empty before the first success. */
  state: WatchState | null;
  document: Json;
  /** Pages after the first, of a watch with pagination. Fields are read from the first. */
  morePages?: readonly Json[];
  /** Whether all pages were walked to the end: items are only found removed in a complete walk. */
  complete: boolean;
  /** Keyed hash for redacted fields. */
  hash: Hash;
};
