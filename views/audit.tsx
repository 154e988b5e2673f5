import type { Audited } from "../src/identity/audit.ts";
import { type Frame, Layout } from "./layout.tsx";
import { Empty, Pager, Time } from "./pieces.tsx";

const PLACES: Record<string, string> = {
  watch: "/watches/",
  endpoint: "/endpoints/",
  secret: "/secrets/",
  event: "/events/",
  delivery: "/deliveries/",
  operation: "/operations/",
};

export function AuditPage(props: {
  frame: Frame;
  entries: Audited[];
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, entries, pager } = props;
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
                    {actor.name} {actor.kind === "api_key" ? <span class="quiet">(key)</span> : null}
                  </td>
                  <td data-label="Did">{action.replaceAll("_", " ")}</td>
                  <td data-label="To">
                    <Resource {...resource} />
                  </td>
                  <Detail detail={detail} />
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

/** Failed sign-ins as words; all else as it was written down. */
function Detail({ detail }: Pick<Audited, "detail">) {
  if (typeof detail?.why !== "string") {
    return <td class="quiet small mono break">{detail ? JSON.stringify(detail) : ""}</td>;
  }
  const { why, email, count = 1 } = detail;
  const words = [why, ...(email ? [email] : []), ...(count === 1 ? [] : [`${count} times in a minute`])];
  return (
    <td class="quiet small break" data-label="Details">
      {words.join(" · ")}
    </td>
  );
}

function Resource({ kind, id }: { kind: string; id: string | null }) {
  const text = kind.replaceAll("_", " ");
  const place = PLACES[kind];
  return place && id ? <a href={`${place}${id}`}>{text}</a> : <span>{text}</span>;
}
