/** The manifest of a run, where it has one that this version reads. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../manifest/contract.ts";
import { checkManifest } from "../../manifest/schema.ts";
import { MANIFEST_NAME } from "../../manifest/write.ts";

/** @param problems takes why there is none */
export async function readManifestOf(folder: string, problems: string[]): Promise<Manifest | undefined> {
  const path = join(folder, MANIFEST_NAME);
  try {
    return checkManifest(JSON.parse(await readFile(path, "utf8")), path);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
