import { type Json, parseJson } from "../platform/json.ts";
import type { StoredHeaders } from "../vault/headers.ts";
import { type CompiledWatch, compileWatch } from "./compile.ts";
import type { Source } from "./governor.ts";
import { stateOf } from "./state_text.ts";
import type { WatchState } from "./state.ts";
import type { Due, Known } from "./store.ts";
import type { WatchInput } from "./watch.ts";
