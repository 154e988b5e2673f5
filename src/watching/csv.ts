import { CsvError, parse } from "csv-parse/sync";
import type { Json } from "../platform/json.ts";

const DELIMITERS = [",", ";", "\t", "|"];
const MAX_CHARS = 5_000_000;
const MAX_COLUMNS = 1_000;
const NOT_CSV = "the reply is not CSV that is read";

/**
 * CSV (RFC 4180) as a list of objects: the first row names the columns, each further one is an object of texts. Columns
 * are divided by whichever of `,` `;` tab `|` stands most often in the first row; empty lines are left out.
 * @returns what is wrong, with its line, where rows and columns do not fit.
 */
export function readCsv(text: string): { document: Json } | { problem: string } {
  if (text.length > MAX_CHARS)
    return { problem: `the reply has ${text.length} characters, more than the ${MAX_CHARS} of CSV that are read` };
  let fault: string | null = null;
  const columns = (names: string[]) => {
    fault = headerFault(names);
    if (fault) throw new TypeError(fault);
    return names;
  };
  try {
    const options = {
      columns,
      bom: true,
      skip_empty_lines: true,
      delimiter: delimiterOf(text),
      max_record_size: 1_000_000,
      record_delimiter: ["\r\n", "\n", "\r"],
    };
    const rows = parse<{ [column: string]: Json }>(text, options);
    // A sentence such as "Service unavailable" would pass for a list that has become empty.
    const isSentence = rows.length === 0 && !text.includes(options.delimiter);
    return isSentence ? { problem: `${NOT_CSV}: one line that names no columns` } : { document: rows };
  } catch (error) {
    if (fault !== null) return { problem: `${NOT_CSV}: ${fault}` };
    if (!(error instanceof CsvError)) throw error;
    return { problem: `${NOT_CSV}: ${error.message.slice(0, 200)}` };
  }
}

function delimiterOf(text: string): string {
  const [row = ""] = /^[^\r\n]*/.exec(text.replace(/^\s+/, "").slice(0, 10_000)) ?? [];
  const bare = row.replace(/"[^"]*"/g, "");
  const counts = DELIMITERS.map((delimiter) => bare.split(delimiter).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ",";
}

function headerFault(names: readonly string[]): string | null {
  if (names.length > MAX_COLUMNS) return `more than ${MAX_COLUMNS} columns`;
  const twice = names.find((name, index) => names.indexOf(name) < index);
  return twice === undefined ? null : `line 1 names the column ${JSON.stringify(twice.slice(0, 50))} twice`;
}
