import { HookshotError } from "./error.ts";
import { Hookshot } from "./hookshot.ts";

/** What `require("deltahook")` gives: the class itself, which also carries the names that `import` knows. */
export default Object.assign(Hookshot, { Hookshot, HookshotError, default: Hookshot });
