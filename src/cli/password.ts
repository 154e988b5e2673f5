import { newToken } from "../identity/token.ts";
import { usage } from "./failure.ts";

export type PasswordOptions = { passwordStdin?: true; generatePassword?: true };

/** A password from where the options say; without any the person is asked. `generated` is to be shown to them. */
export async function choosePassword(
  options: PasswordOptions,
): Promise<{ password: string; generated: string | null }> {
  if (options.passwordStdin && options.generatePassword) {
    throw usage("--password-stdin and --generate-password exclude each other.");
  }
  if (options.generatePassword) {
    const password = newToken();
    return { password, generated: password };
  }
  if (options.passwordStdin) return { password: (await Bun.stdin.text()).replace(/\r?\n$/, ""), generated: null };
  if (!process.stdin.isTTY) {
    throw usage("There is no terminal to ask for a password: use --password-stdin or --generate-password.");
  }
  const password = await askHidden("Password: ");
  if ((await askHidden("Once more: ")) !== password) throw usage("The two passwords differ; nothing was changed.");
  return { password, generated: null };
}

/** Reads a line from the terminal without showing it. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(question);
  process.stdin.setRawMode(true);
  process.stdin.resume();
  try {
    return await readLine();
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stderr.write("\n");
  }
}

function readLine(): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = "";
    const end = (settle: () => void) => {
      process.stdin.removeListener("data", onData);
      settle();
    };
    const onData = (data: Buffer | string) => {
      for (const key of String(data)) {
        if (key === "\r" || key === "\n") return end(() => resolve(line));
        if (key === "\u0003" || key === "\u0004") return end(() => reject(usage("Nothing was changed.")));
        line = key === "\u007f" || key === "\b" ? [...line].slice(0, -1).join("") : line + key;
      }
    };
    process.stdin.on("data", onData);
  });
}
