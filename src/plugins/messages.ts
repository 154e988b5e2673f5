import type { SignSecret } from "./plugin.ts";

// What crosses between the server and a worker thread. Documents cross as JSON texts: cheaper to copy, and exact.

export type Hook = "transform" | "parse" | "sign";
export const HOOKS: readonly Hook[] = ["transform", "parse", "sign"];

/** A plugin as one module without imports of its own files. */
export type Bundle = { file: string; version: string; code: string };

/** Who uses which plugins, and how. `options` and `about` are JSON texts, `about` of what hooks are told of it. */
export type UseText = { names: readonly string[]; options: string; about: string };

export type TransformInput = {
  id: string;
  type: string;
  timestamp: string;
  data: string;
  /** A direct send: the data is the body. */
  bare: boolean;
};
export type ParseInput = { status: number; headers: Record<string, string>; bytes: Uint8Array };
export type SignInput = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | null;
  secret: SignSecret | null;
};

export type Task =
  | { hook: "transform"; input: TransformInput }
  | { hook: "parse"; input: ParseInput }
  | { hook: "sign"; input: SignInput }
  /** Are these options acceptable to these plugins? */
  | { hook: "check"; input: null };

export type CallText = { id: number; use: number; task: Task };

export type ToThread =
  | { kind: "load"; shared: SharedArrayBuffer; bundles: readonly Bundle[] }
  | { kind: "run"; uses: UseText[]; calls: CallText[] };

/** `body` null: as it was. `plugins`: JSON text of `[{name, version}]`. */
export type TransformValue =
  | { skipped: false; body: string | null; headers: Record<string, string>; plugins: string }
  | { skipped: true; plugins: string };
export type OptionFault = { path: (string | number)[]; message: string };
export type Values = {
  transform: TransformValue;
  parse: { text: string };
  sign: { headers: Record<string, string>; url: string | null; body: string | null };
  check: OptionFault[];
};
export type Value = Values[keyof Values];

/** A failed hook: a sentence for people, with the place where that is known. */
export type Answer = { call: number; value: Value } | { call: number; fault: string };

/** A place in a plugin's source. */
export type Place = { file: string; line: number; column: number };

/** What a bundle turned out to be. `options` is a JSON Schema. */
export type Loaded = {
  file: string;
  version: string;
  name: string;
  description: string | null;
  timeoutMs: number;
  hooks: Hook[];
  options: object | null;
};
export type LoadFault = { file: string; message: string; place: Place | null };

export type FromThread =
  /** `threadId` is the kernel's, null where that is not told (only Linux does). */
  | { kind: "loaded"; plugins: (Loaded | LoadFault)[]; threadId: number | null }
  /** `free`: all calls of the batch have been begun, another may come. */
  | { kind: "answers"; answers: Answer[]; free: boolean }
  | { kind: "says"; level: "info" | "warn"; text: string };

/** Places in the memory shared with a thread: the call (or bundle, from 1) under way, and whether to begin no more. */
export const CURRENT = 0;
export const RETIRED = 1;
