import type { Reply } from "../route.ts";

/**
 * An answer whose last member is JSON text taken as it is: a sender's `data` keeps its bytes (`1.0`, 20 digits, the order
 * of keys), which parsing would lose.
 */
export function withRawMember(status: number, body: object, name: string, json: string): Reply {
  const text = JSON.stringify(body);
  const comma = text === "{}" ? "" : ",";
  return new Response(`${text.slice(0, -1)}${comma}${JSON.stringify(name)}:${json}}`, {
    status,
    headers: { "content-type": "application/json" },
  });
}
