import { AppError, type FieldFault } from "../../platform/errors.ts";
import { stringifyJson } from "../../platform/json.ts";
import { type Api, ask } from "./api.ts";
import type { Declared } from "./file.ts";
import type { Create, Delete, Plan, Step, Update } from "./plan.ts";
import { type Body, endpointsOf, inFile, KINDS, type Kind, secretOf } from "./resources.ts";
import type { Server } from "./standing.ts";

/** What went wrong at which step; everything that `onDone` told before is done, and stays. */
export class Stopped extends Error {
  readonly step: Step;
  /** With pointers into the file, where the step comes from it. */
  readonly faults: readonly FieldFault[];

  constructor(step: Step, cause: AppError, faults: readonly FieldFault[]) {
    super(cause.message, { cause });
    this.step = step;
    this.faults = faults;
  }
}

const AT_ONCE = 8;
const MOST_WATCHES = 500;
/** Of the 8 MiB that a batch may have. */
const MOST_BATCH_CHARS = 4_000_000;

const PATHS: Record<Kind, string> = { secret: "/v1/secrets", endpoint: "/v1/endpoints", watch: "/v1/watches" };

/** Does the steps of a plan, in its order by kind, and tells of each. @throws Stopped at the first that fails */
export async function runPlan(api: Api, plan: Plan, server: Server, onDone: (step: Step) => void): Promise<void> {
  const ids = new Map(KINDS.flatMap((kind) => server[kind].map(({ name, id }) => [`${kind} ${name}`, id])));
  const of = <A extends Step["action"]>(action: A, kind: Kind) =>
    plan.steps.filter((step): step is Extract<Step, { action: A }> => step.action === action && step.kind === kind);

  for (const kind of KINDS) {
    if (kind === "watch") for (const batch of batches(of("create", kind))) await createWatches(batch);
    else await each(of("create", kind), create);
    await each(of("update", kind), update);
  }
  for (const kind of KINDS.toReversed()) await each(of("delete", kind), remove);

  async function create(step: Create): Promise<void> {
    const made = await ask(api, "POST", PATHS[step.kind], bodyOf(step.declared));
    ids.set(`${step.kind} ${step.name}`, String(made.id));
  }

  async function createWatches(steps: readonly Create[]): Promise<void> {
    try {
      await ask(api, "POST", `${PATHS.watch}/batch`, { watches: steps.map(({ declared }) => bodyOf(declared)) });
    } catch (error) {
      throw batchStopped(steps, error);
    }
    for (const step of steps) onDone(step);
  }

  async function update(step: Update): Promise<void> {
    const all = referencesOf(step.declared);
    const changed = Object.entries(all).filter(([property]) => step.properties.includes(inFile(property)));
    await ask(api, "PATCH", `${PATHS[step.kind]}/${step.id}`, { ...step.patch, ...Object.fromEntries(changed) });
  }

  async function remove({ kind, id }: Delete): Promise<void> {
    await ask(api, "DELETE", `${PATHS[kind]}/${id}`);
  }

  /** Some at a time. Those under way end before a failure is told. */
  async function each<S extends Step>(steps: readonly S[], work: (step: S) => Promise<void>): Promise<void> {
    for (let start = 0; start < steps.length; start += AT_ONCE) {
      const now = steps.slice(start, start + AT_ONCE);
      const ended = await Promise.allSettled(now.map(work));
      for (const [index, step] of now.entries()) if (ended[index]?.status === "fulfilled") onDone(step);
      const failed = ended.findIndex(({ status }) => status === "rejected");
      const [step, end] = [now[failed], ended[failed]];
      if (step && end?.status === "rejected") throw stopped(step, end.reason);
    }
  }

  function bodyOf(declared: Declared): Body {
    return { ...declared.body, ...referencesOf(declared) };
  }

  function referencesOf(declared: Declared): Body {
    const idOf = (kind: Kind, name: string) => ids.get(`${kind} ${name}`) ?? name;
    if (declared.kind === "secret") return {};
    const secret = secretOf(declared);
    const secret_id = secret === null ? null : idOf("secret", secret);
    if (declared.kind === "endpoint") return { secret_id };
    return { secret_id, endpoint_ids: endpointsOf(declared).map((name) => idOf("endpoint", name)) };
  }

  function batches(steps: readonly Create[]): Create[][] {
    const all: Create[][] = [];
    let chars = 0;
    for (const step of steps) {
      const own = stringifyJson(bodyOf(step.declared)).length;
      const open = all.at(-1);
      const fits = open && open.length < MOST_WATCHES && chars + own <= MOST_BATCH_CHARS;
      chars = fits ? chars + own : own;
      if (fits) open.push(step);
      else all.push([step]);
    }
    return all;
  }
}

function stopped(step: Step, error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const base = "declared" in step ? step.declared.pointer : "";
  return new Stopped(
    step,
    error,
    error.faults.map((fault) => inTheFile(fault, base)),
  );
}

/** A batch is all or none: the one that its answer names is told. */
function batchStopped(steps: readonly Create[], error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const named = error.faults.map((fault) => ({ fault, index: Number(/^\/watches\/(\d+)/.exec(fault.pointer)?.[1]) }));
  const step = steps[named.find(({ index }) => steps[index])?.index ?? 0] ?? steps[0];
  const faults = named.map(({ fault, index }) =>
    inTheFile(
      { ...fault, pointer: fault.pointer.replace(/^\/watches\/\d+/, "") },
      steps[index]?.declared.pointer ?? "",
    ),
  );
  return step ? new Stopped(step, error, faults) : error;
}

function inTheFile({ pointer, message }: FieldFault, base: string): FieldFault {
  const [, first = "", ...rest] = pointer.split("/");
  return { pointer: [base, ...(first === "" ? [] : [inFile(first)]), ...rest].join("/"), message };
}
