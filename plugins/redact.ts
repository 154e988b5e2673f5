import { definePlugin, type JsonPath, jsonpath, z } from "deltahook/plugin";

const compiled = new WeakMap<object, JsonPath[]>();

const path = z.string().superRefine((text, context) => {
  try {
    jsonpath(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

/** Keeps values from leaving: each match of the paths is replaced. */
export default definePlugin({
  name: "redact",
  description: "Replaces chosen values of the payload before it is sent.",
  options: z.object({
    paths: z.array(path).min(1).max(100).describe("JSONPaths into what is sent, such as $.data.customer.email"),
    replacement: z.unknown().default("***").describe("what stands in their place"),
  }),
  transform(_event, { body, options }) {
    let paths = compiled.get(options);
    if (!paths) {
      paths = options.paths.map((text) => jsonpath(text));
      compiled.set(options, paths);
    }
    return { body: paths.reduce((document, each) => each.replace(document, () => options.replacement), body) };
  },
});
