import { definePlugin, jsonpath, z } from "deltahook/plugin";

/** CloudEvents 1.0, structured content mode, JSON format (section 3 of the HTTP binding, sections 2 and 3 of the format). */
export default definePlugin({
  name: "cloudevents",
  description: "Sends CloudEvents 1.0 in structured mode.",
  options: z.object({
    source: z
      .string()
      .min(1)
      .max(500)
      .regex(/^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/, { error: "must be a URI reference (RFC 3986)" })
      .optional()
      .describe("the source attribute; by default /watches/<id> of a watch's event, else /deltahook"),
    type_prefix: z.string().max(200).default("").describe("put before the event's type, such as com.example."),
    subject: z
      .string()
      .optional()
      .superRefine(checkPath)
      .describe("a JSONPath into {type, data}, such as $.data.order.id"),
  }),
  transform(event, { options }) {
    const body: Record<string, unknown> = {
      specversion: "1.0",
      id: event.id,
      source: options.source ?? sourceOf(event.data),
      type: `${options.type_prefix}${event.type}`,
      time: event.timestamp,
      datacontenttype: "application/json",
    };
    const subject = options.subject === undefined ? undefined : jsonpath(options.subject).values(event)[0];
    // An attribute must not be empty (section 3.1 of the specification): left out instead.
    if (subject !== undefined && subject !== null && String(subject) !== "") body.subject = String(subject);
    body.data = event.data;
    return { body, headers: { "content-type": "application/cloudevents+json; charset=utf-8" } };
  },
});

function sourceOf(data: unknown): string {
  const watch = typeof data === "object" && data !== null && "watch" in data ? data.watch : null;
  const id = typeof watch === "object" && watch !== null && "id" in watch ? watch.id : null;
  return typeof id === "string" ? `/watches/${id}` : "/deltahook";
}

function checkPath(text: string | undefined, context: z.RefinementCtx): void {
  if (text === undefined) return;
  try {
    jsonpath(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
}
