import type { Json } from "../src/platform/json.ts";
import type { Preview, PreviewedField } from "../src/watching/preview.ts";
import { JsonTree } from "./json_tree.tsx";
import { Code, count, Headers, Status, span } from "./pieces.tsx";

/** What a try brought: the reply as a document, or only as text when it is not JSON. */
export type Tried = { preview: Preview; document: Json | undefined; sample: string | null };

/** What was asked, what came back, and what the fields find in it. */
export function TriedPart({ tried: { preview, document, sample } }: { tried: Tried }) {
  const { request, response, fields, items, problems } = preview;
  return (
    <section class="sheet" id="tried" aria-live="polite">
      <div class="row">
        <h2>The reply</h2>
        {response ? (
          <>
            <Status tone={response.status < 300 ? "good" : "bad"} text={String(response.status)} />
            <span class="quiet">
              {response.bytes} bytes in {span(response.ms)}
            </span>
          </>
        ) : (
          <Status tone="bad" text="no reply" />
        )}
      </div>
      {problems.map((problem) => (
        <p class="notice bad break">{problem}</p>
      ))}
      <p class="mono break">
        {request.method} {request.url}
      </p>
      {document === undefined ? null : <JsonTree document={document} />}
      {document === undefined && response ? <Code text={response.body} label="The reply as text" /> : null}
      {Object.keys(fields).length > 0 ? <Found fields={fields} /> : null}
      {items ? (
        <p>
          <strong>{count(items.count)}</strong> {items.count === 1 ? "element was" : "elements were"} found in the list.
        </p>
      ) : null}
      {sample ? (
        <details class="more" open>
          <summary>What would be sent when a value changes</summary>
          <Code text={sample} label="An example of a webhook" />
        </details>
      ) : null}
      {response ? (
        <details class="more">
          <summary>Headers of the reply</summary>
          <Headers headers={response.headers} label="Headers of the reply" />
        </details>
      ) : null}
    </section>
  );
}

function Found({ fields }: { fields: Record<string, PreviewedField> }) {
  return (
    <dl class="facts">
      {Object.entries(fields).map(([name, found]) => (
        <>
          <dt class="mono">{name}</dt>
          <dd>
            {"value" in found ? <code>{JSON.stringify(found.value)}</code> : null}
            {"missing" in found ? <Status tone="warn" text="missing in this reply" /> : null}
            {"error" in found ? <span class="fault">{found.error}</span> : null}
          </dd>
        </>
      ))}
    </dl>
  );
}
