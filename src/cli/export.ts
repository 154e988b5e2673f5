import { VERSION } from "../platform/version.ts";
import { answer } from "./answer.ts";
import { type DoorOptions, withDoor } from "./as_code/door.ts";
import { readServer } from "./as_code/standing.ts";
import { declarationOf, yamlOf } from "./as_code/written.ts";

const HEADING = ` The secrets, endpoints and watches of a DeltaHook ${VERSION}, as \`deltahook apply\` takes them.
 Values of secrets cannot be read: on a server that does not have them, supply each as the line below it says.`;

/** Prints the file that `apply` would find nothing to change by. */
export async function exportFile(options: DoorOptions & { json?: boolean }): Promise<void> {
  await withDoor(options, async ({ api }) => {
    const declaration = declarationOf(await readServer(api));
    answer(options.json, declaration, options.json ? "" : yamlOf(declaration, HEADING).trimEnd());
  });
}
