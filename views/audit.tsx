import type { Names } from "../src/http/names_store.ts";
import type { Audited } from "../src/identity/audit.ts";
import { type Frame, Layout } from "./layout.tsx";
import { Clip, ClipLink, Empty, Pager, Time } from "./pieces.tsx";

const PLACES: Record<string, string> = {
  watch: "/watches/",
  endpoint: "/endpoints/",
  secret: "/secrets/",
  event: "/events/",
  delivery: "/deliveries/",
  operation: "/operations/",
  dead_letter: "/deliveries/",
  user: "/people/",
};

const NAMED = new Set(["watch", "endpoint", "secret"]);

export function AuditPage(props: {
  frame: Frame;
  entries: Audited[];
  /** Of what was done something to, by their ids. */
  names: Names;
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, entries, names, pager } = props;
  return (
    <Layout frame={frame} title="Audit" section="/audit">
      {entries.length === 0 ? (
        <Empty title="Nothing was done yet">
          <p>Who did what, and from where, is kept here.</p>
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">Did</th>
                <th scope="col">To</th>
                <th scope="col">Details</th>
                <th scope="col">From</th>
              </tr>
            </thead>
            <tbody>
              {entries.map(({ at, actor, action, resource, detail, address }) => (
                <tr>
                  <td>
                    <Time at={at} now={frame.now} />
                  </td>
                  <td data-label="Who">
                    <Clip text={actor.name} /> {actor.kind === "api_key" ? <span class="quiet">(key)</span> : null}
                  </td>
                  <td data-label="Did">{action.replaceAll("_", " ")}</td>
                  <td data-label="To">
                    <Resource {...resource} names={names} />
                  </td>
                  <td data-label="Details" class="quiet small">
                    <Clip text={toldOf(detail, names[resource.id ?? ""])} kind="wide" />
                  </td>
                  <td data-label="From" class="quiet mono">
                    {address}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager {...pager} />
    </Layout>
  );
}

/** Failed sign-ins as words; all else as names with their values, without what is not set or said already. */
function toldOf(detail: Audited["detail"], said: string | undefined): string {
  if (typeof detail?.why === "string") {
    const { why, email, count = 1 } = detail;
    return [why, ...(email ? [email] : []), ...(count === 1 ? [] : [`${count} times in a minute`])].join(" · ");
  }
  const told = Object.entries(detail ?? {}).filter(([, value]) => value !== null && value !== said);
  return told.map(([name, value]) => `${name.replaceAll("_", " ")}: ${shown(value)}`).join(" · ");
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What is gone has no name, and nothing to open. */
function Resource({ kind, id, names }: { kind: string; id: string | null; names: Names }) {
  const text = kind.replaceAll("_", " ");
  const place = PLACES[kind];
  if (!place || !id) return <span>{text}</span>;
  if (names[id]) return <ClipLink href={`${place}${id}`} text={`${text} ${names[id]}`} />;
  return NAMED.has(kind) ? <span class="quiet">{text}, deleted</span> : <a href={`${place}${id}`}>{text}</a>;
}
