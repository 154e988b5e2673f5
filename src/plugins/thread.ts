import { constants, setPriority } from "node:os";
import type { Log } from "../platform/log.ts";
import {
  type Answer,
  type Bundle,
  type CallText,
  CURRENT,
  type FromThread,
  type Loaded,
  type LoadFault,
  RETIRED,
  type ToThread,
  type UseText,
} from "./messages.ts";

/** One worker thread with plugins in it. It tells by itself when it ends; nothing that runs in it can keep it alive. */
export type Thread = {
  /** What its bundles turned out to be, or which of them ended the thread or took too long. */
  loaded: Promise<(Loaded | LoadFault)[] | ThreadLost>;
  run(uses: UseText[], calls: CallText[]): void;
  /** The id of the call that occupies the thread at this moment, 0 when none does. */
  current(): number;
  /** It begins no more of what it was given; what is under way goes on. */
  retire(): void;
  /** From now on it gets only the processor time that nobody else wants. */
  stepBack(): void;
  end(): void;
};

/** While loading: the index of the bundle at fault, and why. */
export type ThreadLost = { bundle: number; problem: string };

export type ThreadEvents = {
  onAnswers(answers: Answer[], free: boolean): void;
  /** The thread is gone, and `end` was not called. */
  onEnd(problem: string): void;
};

export const LOAD_MS = 5_000;

export function startThread(bundles: readonly Bundle[], events: ThreadEvents, log: Log): Thread {
  const memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  const shared = new Int32Array(memory);
  // No environment: it holds the server's secrets. A worker inherits it otherwise.
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href, { env: {}, ref: false, name: "plugins" });
  const { promise: loaded, resolve } = Promise.withResolvers<(Loaded | LoadFault)[] | ThreadLost>();
  let threadId: number | null = null;
  let state: "loading" | "ready" | "ended" = "loading";

  const lose = (problem: string) => {
    if (state === "ended") return;
    const was = state;
    state = "ended";
    clearTimeout(deadline);
    worker.terminate();
    if (was === "loading") resolve({ bundle: Atomics.load(shared, CURRENT) - 1, problem });
    else events.onEnd(problem);
  };
  const deadline = setTimeout(() => lose(`it did not finish loading within ${LOAD_MS} ms`), LOAD_MS);

  const receive = (message: FromThread) => {
    if (state === "ended") return;
    if (message.kind === "answers" && state === "ready") events.onAnswers(message.answers, message.free);
    else if (message.kind === "says") log[message.level]("a plugin says", { text: message.text });
    else if (message.kind === "loaded" && state === "loading") {
      clearTimeout(deadline);
      state = "ready";
      threadId = message.threadId;
      resolve(message.plugins);
    }
  };

  worker.addEventListener("message", ({ data }) => {
    try {
      receive(data as FromThread);
    } catch {
      lose("it posted a message of its own to the server");
    }
  });
  worker.addEventListener("close", () => lose("it ended its worker thread (process.exit, or a crash)"));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    // Bun's message shows the source around the place as well.
    const [line] = /^\w*error: .*$/im.exec(event.message) ?? [event.message];
    lose(`its worker thread failed: ${line.slice(0, 300)}`);
  });
  send({ kind: "load", shared: memory, bundles });

  function send(message: ToThread): void {
    worker.postMessage(message);
  }

  return {
    loaded,
    run: (uses, calls) => send({ kind: "run", uses, calls }),
    current: () => Atomics.load(shared, CURRENT),
    retire: () => void Atomics.store(shared, RETIRED, 1),
    stepBack() {
      try {
        // On Linux the priority of a thread is set by its id, where other systems know only whole processes.
        if (threadId !== null) setPriority(threadId, constants.priority.PRIORITY_LOW);
      } catch {
        // It ended meanwhile, or the sandbox forbids it: then it competes like all others.
      }
    },
    end() {
      state = "ended";
      clearTimeout(deadline);
      worker.terminate();
      resolve({ bundle: -1, problem: "it was ended" });
    },
  };
}
