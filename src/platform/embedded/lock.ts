import { dlopen, FFIType } from "bun:ffi";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { AppError } from "../errors.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

export type Lock = { release(): void };

/**
 * Makes this process the only user of a cluster. The lock is the kernel's (flock(2)): it ends with the process however
 * that ends, cannot be left behind, and holds between containers that share a volume, where process ids repeat.
 */
export function takeLock(file: string, dataDir: string): Lock {
  const descriptor = openSync(file, "a+", 0o600);
  if (flock(descriptor, LOCK_EX | LOCK_NB) !== 0) {
    closeSync(descriptor);
    const holder = readFileSync(file, "utf8").trim() || "unknown";
    throw new AppError(
      "conflict",
      `DATA_DIR ${dataDir} is in use by another DeltaHook (pid ${holder}): stop that one, or give this one a DATA_DIR of its own.`,
    );
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  // The file stays: deleting it would let a third process lock a file that a second still waits on.
  return { release: () => closeSync(descriptor) };
}

function flock(descriptor: number, operation: number): number {
  const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const libc = dlopen(library, { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });
  try {
    return libc.symbols.flock(descriptor, operation);
  } finally {
    libc.close();
  }
}
