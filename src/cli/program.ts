import { Command, type CommanderError, InvalidArgumentError, Option } from "commander";
import { VERSION } from "../platform/version.ts";
import { usage } from "./failure.ts";

const ROLES = ["viewer", "editor", "admin"];
const JSON_OPTION = ["--json", "print JSON, for programs"] as const;

/**
 * The words of the command line. What a command does stands in a file of its own, loaded when it is called, so that
 * `healthcheck` and `--help` do not wait for the whole server to load.
 */
export function createProgram(): Command {
  const program = new Command("deltahook")
    .description("Turns any REST API into a webhook provider, and delivers webhooks dependably.")
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "show help")
    // Faults are told by `tell`, in the same words as all others and as JSON where that was asked for.
    .configureOutput({ getOutHelpWidth: () => 100, getErrHelpWidth: () => 100, outputError: () => {} });

  program.commandsGroup("Run:");
  addServe(program);
  addMigrate(program);
  addHealthcheck(program);
  addConfig(program);
  program.commandsGroup("Work:");
  addSend(program);
  addListen(program);
  addApply(program);
  addExport(program);
  addUsers(program);
  addKeys(program);
  addVault(program);
  addBackup(program);
  addRestore(program);
  program.addHelpCommand(
    new Command("help").argument("[command]").description("show the help of a command").helpOption(false),
  );
  for (const command of program.commands.flatMap((one) => [one, ...one.commands]).concat(program)) {
    command.exitOverride((fault) => {
      throw explained(fault, command);
    });
  }
  return program.addHelpText(
    "after",
    `
Settings are environment variables, also read from a file .env; \`deltahook config\` shows them.
Commands that need the database use DATABASE_URL, or else the one in DATA_DIR (./data), whether a
server is running on it or not.

Exit codes: 0 done, 1 failed, 2 wrong command line.`,
  );
}

/** A fault of the command line, with the help that is nearest to it. Help that was printed needs no more words. */
function explained(fault: CommanderError, command: Command): CommanderError {
  if (fault.exitCode === 0 || fault.code === "commander.help") return fault;
  return usage(`${fault.message.replace(/^error: /, "")}\n\`${pathOf(command)} --help\` shows how it is used.`);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the server until it is told to stop (SIGTERM or Ctrl-C)")
    .action(async () => (await import("./serve.ts")).serve());
}

function addMigrate(program: Command): void {
  program
    .command("migrate")
    .description("bring the database to this version; `serve` does so by itself")
    .option(...JSON_OPTION)
    .action(async (options) => (await import("./migrate.ts")).migrateDatabase(options));
}

function addHealthcheck(program: Command): void {
  program
    .command("healthcheck")
    .description("ask the server on this machine (HOST, PORT) whether it is ready")
    .option(...JSON_OPTION)
    .action(async (options) => (await import("./healthcheck.ts")).healthcheck(options));
}

function addConfig(program: Command): void {
  program
    .command("config")
    .description("show every setting, where its value comes from, and no secret")
    .option(...JSON_OPTION)
    .action(async (options) => (await import("./settings.ts")).showSettings(options));
}

function addSend(program: Command): void {
  program
    .command("send")
    .description("state an event: to its subscribers, or with --url to one address")
    .argument("<type>", "the event's type, such as order.paid")
    .argument("[data]", "its data as JSON; `-` reads it from stdin", "null")
    .option("--url <address>", "send to this address alone; the data is the whole body")
    .option("--header <name:value>", "with --url: a header (may be given again)", collect)
    .option("--retry <delays>", "with --url: when to try again, such as 5s,5m,1h")
    .option("--idempotency-key <key>", "the same key within 24 hours sends nothing twice")
    .option("--wait [duration]", "wait until it has arrived, or ended as a dead letter", parseWait)
    .addOption(
      new Option(
        "--server <address>",
        "send through this server instead of the database; one that is away is tried for 30 s",
      ).env("HOOKSHOT_URL"),
    )
    .addOption(new Option("--api-key <key>", "with --server: a key that may send").env("HOOKSHOT_API_KEY"))
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
Examples:
  $ deltahook send order.paid '{"order": 42, "total": 12.50}'
  $ deltahook send order.paid '{"order": 42}' --url https://example.com/webhook --wait`,
    )
    .action(async (type, data, options) => (await import("./send.ts")).send(type, data, options));
}

function addApply(program: Command): void {
  program
    .command("apply")
    .description("make secrets, endpoints and watches what a file says")
    .requiredOption("-f, --file <path>", "the file, YAML or JSON; `-` reads it from stdin")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--prune", "delete what the file does not name, of each kind that it has a section of")
    .option("--yes", "with --prune: do not ask")
    .option("--keep-secrets", "leave values of secrets alone that the server has already")
    .addOption(new Option("--server <address>", "apply to this server instead of the database").env("HOOKSHOT_URL"))
    .addOption(new Option("--api-key <key>", "with --server: a key of an editor").env("HOOKSHOT_API_KEY"))
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
Examples:
  $ deltahook export > deltahook.yaml
  $ deltahook apply -f deltahook.yaml --dry-run`,
    )
    .action(async (options) => (await import("./apply.ts")).apply(options));
}

function addExport(program: Command): void {
  program
    .command("export")
    .description("print secrets (without values), endpoints and watches as a file for `apply`")
    .addOption(new Option("--server <address>", "read this server instead of the database").env("HOOKSHOT_URL"))
    .addOption(new Option("--api-key <key>", "with --server: a key that may read").env("HOOKSHOT_API_KEY"))
    .option(...JSON_OPTION)
    .action(async (options) => (await import("./export.ts")).exportFile(options));
}

function addListen(program: Command): void {
  program
    .command("listen")
    .description("receive events here, behind NAT too: print them, forward them to a local address")
    .option("--events <types>", "event types as a comma list, in which * stands for any characters", "*")
    .option("--filter <path>", "only payloads that this JSONPath filter lets through")
    .option("--forward-to <address>", "send each request on, and report that answer; without it the answer is 200")
    .addOption(new Option("--server <address>", "listen to this server instead of this machine's").env("HOOKSHOT_URL"))
    .addOption(new Option("--api-key <key>", "a key of the role editor").env("HOOKSHOT_API_KEY"))
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
The server on this machine (HOST, PORT) needs no key; one is made, and revoked at the end.

Examples:
  $ deltahook listen --forward-to http://localhost:3000/hooks
  $ deltahook listen --events 'order.*,watch.failing' --server https://hooks.example.com --api-key dhk_…`,
    )
    .action(async (options) => (await import("./listen.ts")).listen(options));
}

function addUsers(program: Command): void {
  const users = program
    .command("users")
    .description("people who may sign in: add, reset-password, list")
    .helpCommand(false);
  users
    .command("add")
    .description("add a person")
    .argument("<email>", "address to sign in with")
    .addOption(new Option("--role <role>", "what they may do").choices(ROLES).default("viewer"))
    .option("--name <name>", "how they are called", "")
    .option("--password-stdin", "read the password from stdin instead of asking")
    .option("--generate-password", "make a password and print it once")
    .option(...JSON_OPTION)
    .action(async (email, options) => (await import("./users.ts")).addUser(email, options));
  users
    .command("reset-password")
    .description("set a person's password, let them in again and end their sessions")
    .argument("<email>", "address of the person")
    .option("--password-stdin", "read the password from stdin instead of asking")
    .option("--generate-password", "make a password and print it once")
    .option(...JSON_OPTION)
    .action(async (email, options) => (await import("./users.ts")).resetPassword(email, options));
  users
    .command("list")
    .description("list all people")
    .option(...JSON_OPTION)
    .action(async (options) => (await import("./users.ts")).listUsers(options));
}

function addKeys(program: Command): void {
  program
    .command("keys")
    .description("API keys of programs: create")
    .helpCommand(false)
    .command("create")
    .description("make an API key; it is printed this once")
    .argument("<name>", "what it is for")
    .addOption(new Option("--role <role>", "what it may do").choices(ROLES).default("editor"))
    .option("--expires-in <duration>", "until when it is good, such as 90d")
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import("./keys.ts")).createKey(name, options));
}

function addVault(program: Command): void {
  program
    .command("vault")
    .description("stored credentials: rotate")
    .helpCommand(false)
    .command("rotate")
    .description("bring all stored credentials under the current MASTER_KEY")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
First start every node with the new key in MASTER_KEY and the old one in MASTER_KEY_PREVIOUS, then run
this, then take MASTER_KEY_PREVIOUS away. It may be interrupted and run again at any time.`,
    )
    .action(async (options) => (await import("./vault.ts")).rotate(options));
}

function addBackup(program: Command): void {
  program
    .command("backup")
    .description("save everything but the master key into one file, while the server runs")
    .argument("[file]", "where to; `-` writes to stdout (deltahook-<time>.tar.gz)")
    .option("--force", "write over a file that is there")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
Examples:
  $ deltahook backup /backups/deltahook.tar.gz --force
  $ deltahook backup - | ssh backup@example.com 'cat > deltahook.tar.gz'`,
    )
    .action(async (file, options) => (await import("./backup.ts")).backup(file, options));
}

function addRestore(program: Command): void {
  program
    .command("restore")
    .description("load a backup into an empty database")
    .argument("<file>", "the backup; `-` reads it from stdin")
    .option("--check", "only read the file to its end and say what is in it")
    .option("--paused", "with all watches and endpoints paused: a copy to look at, which sends nothing")
    .option("--without-key", "although the master key is another: its credentials cannot be opened")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
Without DATABASE_URL the database of DATA_DIR is made. Put the master key in its place first:
the file master.key in DATA_DIR, or MASTER_KEY.`,
    )
    .action(async (file, options) => (await import("./restore.ts")).restore(file, options));
}

function collect(value: string, earlier: string[] = []): string[] {
  if (!/^[^:\s]+:/.test(value)) throw new InvalidArgumentError("Write it as name:value.");
  return [...earlier, value];
}

function parseWait(value: string): string {
  if (/^\d+(\.\d+)?(ms|s|m|h|d)?$/.test(value)) return value;
  throw new InvalidArgumentError("Write a duration such as 30s or 5m.");
}
