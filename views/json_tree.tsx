import type { ExactNumber, Json } from "../src/platform/json.ts";

const MOST_ELEMENTS = 30;
const MOST_NODES = 1_500;

/**
 * A reply as a tree. A click on a value adds its path to the form's fields, and a list can be watched as a collection;
 * both only fill in the form, so without scripts the paths can be read here and typed.
 */
export function JsonTree({ document }: { document: Json }) {
  const budget = { nodes: MOST_NODES };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section class="tree" aria-label="The reply; click a value to watch it" tabIndex={0}>
      <Node value={document} path="$" name="value" budget={budget} />
    </section>
  );
}

type NodeProps = { value: Json; path: string; name: string; budget: { nodes: number } };

function Node({ value, path, name, budget }: NodeProps) {
  budget.nodes--;
  if (budget.nodes < 0) return <span class="quiet">…</span>;
  if (Array.isArray(value)) return <List value={value} path={path} name={name} budget={budget} />;
  if (typeof value === "object" && value !== null && !isExact(value)) {
    return (
      <ul>
        {Object.entries(value).map(([member, each]) => (
          <li>
            <span class="quiet">{member}: </span>
            <Node value={each} path={memberPath(path, member)} name={member} budget={budget} />
          </li>
        ))}
      </ul>
    );
  }
  const shown = isExact(value) ? value.toString() : JSON.stringify(value);
  return (
    <button
      type="button"
      data-pick={fieldName(name)}
      data-path={path}
      data-into="fields"
      aria-pressed="false"
      title={path}
    >
      {shown.length > 200 ? `${shown.slice(0, 200)}…` : shown}
    </button>
  );
}

function List({ value, path, name, budget }: Omit<NodeProps, "value"> & { value: Json[] }) {
  const [first] = value;
  const isCollection = typeof first === "object" && first !== null && !Array.isArray(first) && !isExact(first);
  return (
    <>
      <span class="quiet">{value.length === 1 ? "1 element" : `${value.length} elements`}</span>
      {isCollection ? <WatchList path={path} first={first} /> : null}
      <ul>
        {value.slice(0, MOST_ELEMENTS).map((each, index) => (
          <li>
            <span class="quiet">{index}: </span>
            <Node value={each} path={`${path}[${index}]`} name={name} budget={budget} />
          </li>
        ))}
        {value.length > MOST_ELEMENTS ? <li class="quiet">… {value.length - MOST_ELEMENTS} more</li> : null}
      </ul>
    </>
  );
}

const KEYS = ["id", "uuid", "key", "number", "code", "slug", "name", "sku", "ref"];

/** Guesses the key by its name, and takes the plain values of the first element as the fields. */
function WatchList({ path, first }: { path: string; first: { [name: string]: Json } }) {
  const key = KEYS.find((name) => name in first) ?? Object.keys(first)[0] ?? "id";
  const plain = Object.keys(first).filter((name) => name !== key && (typeof first[name] !== "object" || !first[name]));
  const fields = plain.slice(0, 8).map((name) => `${fieldName(name)} = ${memberPath("$", name)}`);
  return (
    <button
      type="button"
      class="slight"
      data-collect={`${path}[*]`}
      data-key={memberPath("$", key)}
      data-fields={fields.join("\n")}
    >
      Watch this list
    </button>
  );
}

function memberPath(path: string, member: string): string {
  return /^[A-Za-z_]\w*$/.test(member) ? `${path}.${member}` : `${path}[${JSON.stringify(member)}]`;
}

function fieldName(name: string): string {
  return name.replace(/[^\w.-]+/g, "_").slice(0, 60) || "value";
}

/** A number that JavaScript's own cannot hold. */
function isExact(value: Json | undefined): value is ExactNumber {
  return typeof value === "object" && value !== null && value.constructor?.name === "ExactNumber";
}
