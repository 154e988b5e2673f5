import { createHash } from "node:crypto";
import { createTarDecoder, createTarPacker, type ParsedTarEntry, type TarPackController } from "modern-tar";
import { z } from "zod";
import { countRows } from "../../platform/copy.ts";
import { AppError, messageOf } from "../../platform/errors.ts";

/** Rises when an older DeltaHook could not read the file any more. */
const FORMAT = 1;
const LARGEST_MANIFEST = 64 * 1024 * 1024;

const NAME = /^[a-z_][a-z0-9_]{0,62}$/;
const PARTITION = /^[a-z_]+_p[0-9]{8}t[0-9]{2}$/;

const manifestSchema = z.object({
  deltahook: z.string(),
  postgres: z.string(),
  created_at: z.iso.datetime(),
  migrations: z.array(z.string()).min(1),
  /** Fingerprint of the key that credentials are sealed under; null when there was no key yet. */
  master_key: z.string().nullable(),
  tables: z.array(z.object({ name: z.string().regex(NAME), columns: z.array(z.string().regex(NAME)) })),
  partitions: z.array(
    z.object({ parent: z.string().regex(NAME), name: z.string().regex(PARTITION), from: z.guid(), to: z.guid() }),
  ),
});

const partsSchema = z.object({
  parts: z.array(z.object({ path: z.string(), rows: z.int(), sha256: z.string() })),
});

/** What stands in front: enough to know whether and where the file can be restored. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Some rows of a table, as COPY writes them. */
export type Part = { table: string; bytes: Buffer; rows: number };

/**
 * A backup as a gzipped tar (POSIX ustar): `manifest.json`, then `data/<table>/000001.copy` and so on, and at the end
 * `parts.json` with rows and SHA-256 of each. What has no end is no backup.
 */
export function writeArchive(manifest: Manifest, parts: AsyncIterable<Part>): AsyncIterable<Uint8Array> {
  const { readable, controller } = createTarPacker();
  // Whoever reads is told of a failure by the stream.
  void pack(controller, manifest, parts).catch((error) => controller.error(error));
  return readable.pipeThrough(new CompressionStream("gzip")) as unknown as AsyncIterable<Uint8Array>;
}

async function pack(controller: TarPackController, manifest: Manifest, parts: AsyncIterable<Part>): Promise<void> {
  const mtime = new Date(manifest.created_at);
  const written: z.infer<typeof partsSchema>["parts"] = [];
  const numbers = new Map<string, number>();

  async function add(name: string, bytes: Uint8Array): Promise<void> {
    const writer = controller.add({ name, size: bytes.length, mtime, mode: 0o600 }).getWriter();
    if (bytes.length > 0) await writer.write(bytes);
    await writer.close();
  }

  await add("manifest.json", json({ format: "deltahook-backup", version: FORMAT, ...manifest }));
  for await (const { table, bytes, rows } of parts) {
    const number = (numbers.get(table) ?? 0) + 1;
    numbers.set(table, number);
    const path = `data/${table}/${String(number).padStart(6, "0")}.copy`;
    await add(path, bytes);
    written.push({ path, rows, sha256: sha256(bytes) });
    // By itself the collector lets parts that are written pile up to more than 100 MB.
    Bun.gc(false);
  }
  await add("parts.json", json({ parts: written }));
  controller.finalize();
}

/**
 * Reads a backup from its first byte to its last, once.
 * @throws AppError when it is none, was made by a newer DeltaHook, or is damaged or cut short: `parts` only at its end,
 * since what it should hold stands there
 */
export async function openArchive(
  source: ReadableStream<Uint8Array>,
): Promise<{ manifest: Manifest; parts: AsyncGenerator<Part> }> {
  const entries = readEntries(source);
  const first = await entries.next();
  if (first.done || first.value.header.name !== "manifest.json" || first.value.header.size > LARGEST_MANIFEST)
    throw foreign();
  const manifest = readManifest(await bytesOf(first.value));
  return { manifest, parts: readParts(entries) };
}

async function* readParts(entries: AsyncGenerator<ParsedTarEntry>): AsyncGenerator<Part> {
  const found: { path: string; rows: number; sha256: string }[] = [];
  for await (const entry of entries) {
    const path = entry.header.name;
    const bytes = await bytesOf(entry);
    if (path === "parts.json") {
      const told = partsSchema.safeParse(parse(bytes));
      if (!told.success || !Bun.deepEquals(told.data.parts, found))
        throw damaged("its parts are not those it was made of");
      // The rest is read as well: a fault in it is a fault of the file.
      for await (const more of entries) throw damaged(`it goes on after its end, with ${more.header.name}`);
      return;
    }
    const table = /^data\/([a-z0-9_]+)\/\d{6,}\.copy$/.exec(path)?.[1];
    if (table === undefined) throw damaged(`${path} does not belong there`);
    const rows = countRows(bytes);
    found.push({ path, rows, sha256: sha256(bytes) });
    yield { table, bytes, rows };
    Bun.gc(false); // as in writing
  }
  throw damaged("it is cut short");
}

/** Everything that goes wrong in reading is the file's fault, or the disk's. */
async function* readEntries(source: ReadableStream<Uint8Array>): AsyncGenerator<ParsedTarEntry> {
  const unzipped = source.pipeThrough(new DecompressionStream("gzip") as TransformStream<Uint8Array, Uint8Array>);
  const reader = unzipped.pipeThrough(createTarDecoder({ strict: true })).getReader();
  let isFirst = true;
  try {
    for (;;) {
      const next = await reader
        .read()
        .catch((error) => Promise.reject(isFirst ? foreign(error) : damaged(messageOf(error), error)));
      if (next.done) return;
      isFirst = false;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function bytesOf(entry: ParsedTarEntry): Promise<Buffer> {
  try {
    return Buffer.from(await new Response(entry.body).arrayBuffer());
  } catch (error) {
    throw damaged(messageOf(error), error);
  }
}

function readManifest(bytes: Buffer): Manifest {
  const head = z.object({ format: z.literal("deltahook-backup"), version: z.int(), deltahook: z.string() });
  const told = head.safeParse(parse(bytes));
  if (!told.success) throw foreign();
  if (told.data.version > FORMAT) throw newer(told.data.deltahook);
  const manifest = manifestSchema.safeParse(parse(bytes));
  if (!manifest.success) throw damaged("its manifest.json is not as it should be");
  return manifest.data;
}

export function newer(version: string): AppError {
  return new AppError(
    "conflict",
    `This backup was made by DeltaHook ${version}, which is newer than this one: restore it with that version or a later one.`,
  );
}

function foreign(cause?: unknown): AppError {
  return new AppError("invalid", "This is no backup of DeltaHook: `deltahook backup` writes one, as a .tar.gz.", {
    cause,
  });
}

function damaged(why: string, cause?: unknown): AppError {
  return new AppError(
    "invalid",
    `This backup is damaged (${why}): nothing of it was restored. Copy it anew from where it was made, or take another one.`,
    { cause },
  );
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return null;
  }
}

function json(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
