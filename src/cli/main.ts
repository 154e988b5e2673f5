import { exitCodeOf, tell } from "./failure.ts";
import { createProgram } from "./program.ts";

const words = process.argv.slice(2);

// Whoever reads our output may have read enough (`| head`): no reason to fail, and none for a server to end.
process.stdout.on("error", () => {});

try {
  await createProgram().parseAsync(words, { from: "user" });
  process.exit(process.exitCode ?? 0);
} catch (error) {
  tell(error, words.includes("--json"));
  process.exit(exitCodeOf(error));
}
