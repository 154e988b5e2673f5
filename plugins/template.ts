import { definePlugin, z } from "deltahook/plugin";
import { asText, compileTemplate, type Template } from "./_placeholders.ts";

const compiled = new WeakMap<object, { body: Template; headers: Template }>();

function checkTemplate(template: unknown, context: z.RefinementCtx): void {
  try {
    compileTemplate(template);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
}

/** Any payload without code: JSON in which `{{ $.data.order.id }}` stands for a value of the event. */
export default definePlugin({
  name: "template",
  description: "Builds the payload from JSON with {{ JSONPath }} placeholders.",
  options: z.object({
    body: z
      .unknown()
      .refine((value) => value !== undefined, { error: "is required" })
      .superRefine(checkTemplate)
      .describe("JSON, or a text, with placeholders over {id, type, timestamp, data, endpoint}"),
    headers: z
      .record(z.string(), z.string())
      .superRefine(checkTemplate)
      .default({})
      .describe("headers, with the same placeholders"),
  }),
  transform(event, { endpoint, options }) {
    let made = compiled.get(options);
    if (!made) {
      made = { body: compileTemplate(options.body), headers: compileTemplate(options.headers) };
      compiled.set(options, made);
    }
    const document = { ...event, endpoint };
    const headers = Object.entries(made.headers(document) as Record<string, unknown>);
    return {
      body: made.body(document),
      headers: Object.fromEntries(headers.map(([name, value]) => [name, asText(value)])),
    };
  },
});
