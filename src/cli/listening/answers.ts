import type { Forwarded } from "./forward.ts";
import { ask, Passing, type Server } from "./server.ts";
import { tellUnanswered } from "./words.ts";

/** Reports to the server what came of requests. */
export type Answers = { give(listener: string, answer: { request: string } & Forwarded): Promise<void> };

const FIRST_WAIT_MS = 250;
/** Then nobody waits for it any more. */
const GIVE_UP_MS = 30_000;

/** An answer that does not get through is given again, since the work that it tells of is done. */
export function createAnswers(server: Server): Answers {
  return {
    async give(listener, answer) {
      const giveUpAt = performance.now() + GIVE_UP_MS;
      const request = { method: "POST", path: `/v1/listen/${listener}/answers`, body: { answers: [answer] } };
      for (let waitMs = FIRST_WAIT_MS; ; waitMs *= 2) {
        try {
          await ask(server, request);
          return;
        } catch (error) {
          if (error instanceof Passing && performance.now() + waitMs < giveUpAt) await Bun.sleep(waitMs);
          else return tellUnanswered(error);
        }
      }
    },
  };
}
