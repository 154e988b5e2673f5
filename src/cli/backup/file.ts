import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, messageOf } from "../../platform/errors.ts";

/** @throws AppError when there is a file of that name already */
export function refuseOverwrite(path: string): void {
  if (!existsSync(path)) return;
  throw new AppError("conflict", `${path} exists already: choose another name, or write over it with --force.`);
}

/**
 * Writes a file that is whole or not there: aside, to the disk, then under its name. Only this user may read it.
 * @returns its bytes
 */
export async function writeWhole(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const partial = `${path}.partial`;
  const remove = () => rmSync(partial, { force: true });
  // Whoever interrupts us ends the process: by this the half file goes with it.
  process.once("exit", remove);
  try {
    const bytes = await write(partial, chunks);
    renameSync(partial, path);
    syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    remove();
    if (typeof (error as { syscall?: unknown }).syscall !== "string") throw error;
    throw new AppError("unavailable", `${path} cannot be written (${messageOf(error)}).`, { cause: error });
  } finally {
    process.removeListener("exit", remove);
  }
}

async function write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, "w", 0o600);
  try {
    chmodSync(path, 0o600); // it may have been there, as whatever an earlier backup left behind
    let bytes = 0;
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

/** Without it a crash of the machine may take the new name away. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  fsyncSync(folder);
  closeSync(folder);
}

/** To whoever reads our output, at their pace. @returns the bytes written. @throws when nobody reads any more */
export async function writeOut(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(chunk, (error) => (error ? reject(cutShort(error)) : resolve()));
    });
    bytes += chunk.length;
  }
  return bytes;
}

function cutShort(cause: Error): AppError {
  return new AppError("unavailable", `The backup is not whole: stdout takes no more (${messageOf(cause)}).`, { cause });
}
