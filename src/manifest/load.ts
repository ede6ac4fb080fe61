/** Reads manifest.json from the disk. The selection is read by selection-file.ts, documents by read.ts. */
import { readFile } from "node:fs/promises";
import { DoremiError, withPlace } from "../lib/errors.ts";
import type { Manifest } from "./contract.ts";
import { checkManifest } from "./schema.ts";

/** @throws DoremiError missing-file, bad-json, not-a-manifest, unsupported-version, bad-manifest */
export async function loadManifest(path: string): Promise<Manifest> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
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
