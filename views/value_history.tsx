import type { FieldHistory } from "../src/http/pages/value_history.ts";
import { Time } from "./pieces.tsx";

/** When each field changed, from what to what. */
export function ValueHistory({ histories, now }: { histories: FieldHistory[]; now: number }) {
  if (histories.length === 0) return <p class="quiet">No change was stated yet.</p>;
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">When</th>
            <th scope="col">From</th>
            <th scope="col">To</th>
          </tr>
        </thead>
        <tbody>
          {histories.flatMap(({ field, item, changes }) =>
            changes.map(({ event, at, previous, current }) => (
              <tr>
                <td class="mono break">
                  {item === null ? "" : `${item} · `}
                  {field}
                </td>
                <td data-label="When">
                  <a href={`/events/${event}`}>
                    <Time at={at} now={now} />
                  </a>
                </td>
                <td data-label="From">
                  <Value text={previous} />
                </td>
                <td data-label="To">
                  <Value text={current} />
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}

const MOST_CHARS = 300;

function Value({ text }: { text: string | null }) {
  if (text === null) return <span class="quiet">missing</span>;
  return <code class="break">{text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}…` : text}</code>;
}
