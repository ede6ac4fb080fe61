/** Reads manifest.json, of this machine or by its URI. The selection is read by selection-file.ts, documents by read.ts. */
import { DoremiError, withPlace } from "../lib/errors.ts";
import { readWhole, storage } from "../storage/files.ts";
import type { Manifest } from "./contract.ts";
import { checkManifest } from "./schema.ts";

/** What fits into a string of JavaScript: the entries of a million files. */
const MAX_BYTES = 500e6;

/** @throws DoremiError missing-file, too-large, bad-json, not-a-manifest, unsupported-version, bad-manifest */
export async function loadManifest(path: string): Promise<Manifest> {
  const text = await readText(path).catch((error: unknown) => {
    throw withPlace(error, { file: path });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = `${path}: must be JSON, ${(error as Error).message}; is it the manifest.json of a resampled set?`;
    throw new DoremiError("bad-data", "bad-json", message, { file: path, cause: error });
  }
  return checkManifest(value, path);
}

async function readText(path: string): Promise<string> {
  const found = await storage.stat(path);
  const { size } = found;
  if (size <= MAX_BYTES) return Buffer.from(await readWhole(path, found)).toString("utf8");
  const message = `${path}: a manifest has at most ${MAX_BYTES} bytes, this file has ${size}; is it the right one?`;
  throw new DoremiError("bad-data", "too-large", message, { file: path });
}
