import { existsSync } from "node:fs";
import { AppError, type FieldFault, messageOf } from "../platform/errors.ts";
import { answer } from "./answer.ts";
import { type ConfigDocument, type FileFault, readDocument } from "./as_code/document.ts";
import { type Door, type DoorOptions, withDoor } from "./as_code/door.ts";
import { readDeclaration } from "./as_code/file.ts";
import { type Plan, planChanges, type Step } from "./as_code/plan.ts";
import { isObject } from "./as_code/resources.ts";
import { runPlan, Stopped } from "./as_code/run.ts";
import { readServer, type Server } from "./as_code/standing.ts";
import { doneWords, entryOf, lineOf, named } from "./as_code/words.ts";
import { usage } from "./failure.ts";

export type ApplyOptions = DoorOptions & {
  file: string;
  dryRun?: boolean;
  prune?: boolean;
  yes?: boolean;
  keepSecrets?: boolean;
  json?: boolean;
};

/** Makes the secrets, endpoints and watches of a server like a file. Nothing changes unless the whole file is right. */
export async function apply(options: ApplyOptions): Promise<void> {
  const document = readDocument(await textOf(options.file), process.env);
  if (document.value === null && document.faults.length > 0) throw unusable(options.file, document.faults);
  await withDoor(options, (door) => applyThrough(door, document, options));
}

async function applyThrough({ api, checkUrl }: Door, document: ConfigDocument, options: ApplyOptions): Promise<void> {
  const server = await readServer(api);
  const plan = planOf(document, server, checkUrl, options);
  const deletes = plan.steps.filter(({ action }) => action === "delete");
  if (options.dryRun) return tellPlan(plan, options);
  if (deletes.length > 0 && !options.yes) agree(deletes);

  const done: Step[] = [];
  const onDone = (step: Step) => {
    done.push(step);
    if (!options.json) process.stdout.write(`${lineOf(step)}\n`);
  };
  try {
    await runPlan(api, plan, server, onDone);
  } catch (error) {
    if (options.json) answer(true, resultOf(done, plan, options), "");
    throw error instanceof Stopped ? stoppedAt(error, done.length, plan, document, options.file) : error;
  }
  answer(options.json, resultOf(done, plan, options), doneWords(done, plan.unchanged));
}

/** @throws AppError with every fault of the file and its place */
function planOf(document: ConfigDocument, server: Server, checkUrl: Door["checkUrl"], options: ApplyOptions): Plan {
  const keepSecrets = options.keepSecrets ?? false;
  const isKept = (name: unknown, kind: unknown) =>
    keepSecrets && server.secret.some((secret) => secret.name === name && secret.body.kind === kind);
  const unset = document.faults.filter(({ pointer }) => !isOfKeptSecret(document.value, pointer, isKept));
  if (unset.length > 0) throw unusable(options.file, unset);

  const declaration = readDeclaration(document.value, checkUrl, isKept);
  const plan = planChanges(declaration, server, { prune: options.prune ?? false, keepSecrets });
  if (plan.faults.length === 0) return plan;
  throw unusable(options.file, located(plan.faults, document));
}

/** A variable of a value that is not looked at may be unset. */
function isOfKeptSecret(file: unknown, pointer: string, isKept: (name: unknown, kind: unknown) => boolean): boolean {
  const index = /^\/secrets\/(\d+)\/value(?:\/|$)/.exec(pointer)?.[1];
  const secrets = isObject(file) && Array.isArray(file.secrets) ? file.secrets : [];
  const secret: unknown = index === undefined ? undefined : secrets[Number(index)];
  return isObject(secret) && isKept(secret.name, secret.kind);
}

function tellPlan(plan: Plan, options: ApplyOptions): void {
  const { steps, unchanged } = plan;
  const last = steps.length === 0 ? "Nothing to change." : "Nothing was changed (--dry-run).";
  const words = [...steps.map(lineOf), ...(unchanged > 0 ? [`= ${unchanged} unchanged`] : []), last].join("\n");
  answer(options.json, resultOf(steps, plan, options), words);
}

function resultOf(steps: readonly Step[], { unchanged }: Plan, { dryRun = false }: ApplyOptions) {
  return { dry_run: dryRun, changes: steps.map(entryOf), unchanged };
}

/** @throws when the person at the terminal does not want it, or nobody is there to be asked */
function agree(deletes: readonly Step[]): void {
  process.stderr.write(`${deletes.map(lineOf).join("\n")}\n`);
  if (!process.stdin.isTTY)
    throw usage("--prune deletes these: say --yes where nobody can be asked. Nothing was changed.");
  if (!confirm(`Delete ${deletes.length} that the file does not name?`)) throw usage("Nothing was changed.");
}

async function textOf(file: string): Promise<string> {
  if (file === "-") return Bun.stdin.text();
  if (!existsSync(file)) throw new AppError("not_found", `There is no file ${file}; \`deltahook export\` writes one.`);
  try {
    return await Bun.file(file).text();
  } catch (error) {
    throw new AppError("not_found", `${file} cannot be read (${messageOf(error)}).`, { cause: error });
  }
}

function located(faults: readonly FieldFault[], document: ConfigDocument): FileFault[] {
  const all = faults.map(({ pointer, message }) => document.at(pointer, message));
  return all.sort((a, b) => a.line - b.line || a.column - b.column);
}

function unusable(file: string, faults: readonly FileFault[]): AppError {
  const lines = faults.map((fault) => lineOfFault(file, fault));
  return new AppError("invalid", [`${shown(file)} cannot be applied; nothing was changed.`, ...lines].join("\n"), {
    faults: faults.map(({ line, column, pointer, message }) => ({ line, column, pointer, message })),
  });
}

function lineOfFault(file: string, { line, column, pointer, message }: FileFault): string {
  return `  ${shown(file)}:${line}:${column}: ${pointer === "" ? "" : `${pointer}: `}${message}`;
}

function stoppedAt(
  { step, faults, message, cause }: Stopped,
  done: number,
  plan: Plan,
  document: ConfigDocument,
  file: string,
): AppError {
  const places = located(faults, document);
  const lines = places.length > 0 ? places.map((fault) => lineOfFault(file, fault)) : [`  ${message}`];
  const made = `${done} of ${plan.steps.length} changes were made; apply the file again to go on with the rest.`;
  const text = [`Stopped at ${named(step)}:`, ...lines, made].join("\n");
  return new AppError(cause instanceof AppError ? cause.code : "invalid", text, { cause, faults: places });
}

function shown(file: string): string {
  return file === "-" ? "stdin" : file;
}
