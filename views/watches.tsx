import type { ShownWatch } from "../src/watching/shown.ts";
import { Field, Select } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Clip, ClipLink, Empty, Pager, Status, Time, type Tone } from "./pieces.tsx";

type PagerLinks = { older: string | null; newest: string | null };

const TONES: Record<ShownWatch["health"]["state"], Tone> = {
  ok: "good",
  retrying: "warn",
  failing: "bad",
  held: "warn",
  paused: "none",
};

export function WatchesPage(props: {
  frame: Frame;
  watches: ShownWatch[];
  query: { name?: string; host?: string; paused?: string };
  pager: PagerLinks;
}) {
  const { frame, watches, query, pager } = props;
  const isFiltered = Object.values(query).some((value) => value);
  const create = (
    <a class="button primary" href="/watches/new">
      New watch
    </a>
  );
  return (
    <Layout frame={frame} title="Watches" section="/watches" actions={mayEdit(frame) ? create : null}>
      <form class="filters" method="get" action="/watches">
        <Field label="Name" name="name" value={query.name ?? ""} autoComplete="off" />
        <Field label="Host" name="host" value={query.host ?? ""} autoComplete="off" />
        <Select
          label="State"
          name="paused"
          value={query.paused ?? ""}
          choices={[
            { value: "", text: "Any" },
            { value: "false", text: "Running" },
            { value: "true", text: "Paused" },
          ]}
        />
        <button type="submit">Filter</button>
        {isFiltered ? <a href="/watches">Clear</a> : null}
      </form>
      {watches.length === 0 ? (
        <Empty title={isFiltered ? "No watch fits these filters" : "No watches yet"}>
          <p>A watch asks a JSON API again and again, and states an event when what you look at changes.</p>
          {isFiltered ? (
            <a class="button" href="/watches">
              Clear the filters
            </a>
          ) : mayEdit(frame) ? (
            create
          ) : (
            <p class="quiet">Ask an editor to create one.</p>
          )}
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">Name</th>
                <th scope="col">Every</th>
                <th scope="col">Last poll</th>
                <th scope="col">Next poll</th>
              </tr>
            </thead>
            <tbody>
              {watches.map((watch) => (
                <tr>
                  <td>
                    <WatchStatus watch={watch} />
                  </td>
                  <td>
                    <ClipLink href={`/watches/${watch.id}`} text={watch.name} />
                    <Clip text={watch.request.url} kind="quiet small" />
                  </td>
                  <td data-label="Every" class="nowrap">
                    {everyOf(watch)}
                  </td>
                  <td data-label="Last poll">
                    {watch.last_poll ? (
                      <>
                        {watch.last_poll.outcome.replace("_", " ")}{" "}
                        <span class="quiet">
                          <Time at={watch.last_poll.at} now={frame.now} />
                        </span>
                      </>
                    ) : (
                      <span class="quiet">not yet</span>
                    )}
                  </td>
                  <td data-label="Next poll">
                    {watch.paused ? (
                      <span class="quiet">paused</span>
                    ) : (
                      <Time at={watch.next_poll_at} now={frame.now} isDue />
                    )}
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

export function WatchStatus({ watch: { health } }: { watch: ShownWatch }) {
  return <Status tone={TONES[health.state]} text={health.state} />;
}

/** How often, as it was written. */
export function everyOf({ schedule }: ShownWatch): string {
  if (schedule.cron !== undefined) return `${schedule.cron} ${schedule.timezone ?? "UTC"}`;
  const { every, adaptive } = schedule;
  return adaptive ? `${every}, ${adaptive.min} to ${adaptive.max}` : String(every);
}
