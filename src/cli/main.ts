import { exitCodeOf, tell } from "./failure.ts";
import { createProgram } from "./program.ts";

const words = process.argv.slice(2);

try {
  await createProgram().parseAsync(words, { from: "user" });
  process.exit(process.exitCode ?? 0);
} catch (error) {
  tell(error, words.includes("--json"));
  process.exit(exitCodeOf(error));
}
