/** Exports a manifest to the configuration of a stack: reads what the exporter is to know, writes what it returns. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import type { ExportRequest } from "../manifest/export/exporter.ts";
import { exporterOf } from "../manifest/export/stacks.ts";
import { loadManifest } from "../manifest/load.ts";
import { loadMaterialized } from "../manifest/materialized.ts";
import { type RootOptions, resolveInside, rootOf } from "../manifest/paths.ts";
import { hashOf, storage } from "../storage/files.ts";
import { folderOf, isRemote, localFolder, resolveLocation } from "../storage/location.ts";

export interface ExportOptions extends Pick<RootOptions, "root"> {
  /** folder that the files are written to */
  readonly output: string;
  /** folder of a materialized set of the same manifest */
  readonly data?: string;
  /** tokens of a training sequence */
  readonly sequenceLength?: number;
  /** domains of weight zero to leave out, for stacks that refuse them */
  readonly leaveOut?: readonly string[];
}

export interface ExportResult {
  readonly stack: string;
  readonly unit: "tokens" | "sequences" | "documents";
  /** absolute */
  readonly output: string;
  /** "unchanged": all files stood there already */
  readonly status: "done" | "unchanged";
  /** relative to the output */
  readonly files: readonly string[];
  /** by domain, shares of the unit */
  readonly proportions: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

/**
 * @param path of manifest.json
 * @throws DoremiError of the manifest, the materialized set, and what the stack would misread (src/manifest/export)
 */
export async function exportManifest(stack: string, path: string, options: ExportOptions): Promise<ExportResult> {
  const exporter = exporterOf(stack);
  const output = localFolder(options.output, "export");
  const { files, proportions, notes } = exporter.export(
    await requestFor(resolveLocation(process.cwd(), path), output, options),
  );
  const written = [];
  for (const { path: name, text } of files)
    written.push(await writeUnlessThere(join(output, ...name.split("/")), text));
  return {
    stack,
    unit: exporter.unit,
    output,
    status: written.includes(true) ? "done" : "unchanged",
    files: files.map((file) => file.path),
    proportions,
    notes,
  };
}

async function requestFor(manifestPath: string, target: string, options: ExportOptions): Promise<ExportRequest> {
  const manifest = await loadManifest(manifestPath);
  const { sha256, size } = await hashOf(manifestPath);
  // Nothing but the event of a lineage store asks for it.
  const { mtime } = isRemote(manifestPath) ? { mtime: new Date() } : await stat(manifestPath);
  const selection = await resolveInside(folderOf(manifestPath), manifest.selection.path);
  const { size: selectionSize } = await storage.stat(selection);
  return {
    manifest,
    manifestPath,
    root: rootOf(manifestPath, manifest, options),
    target,
    data:
      options.data === undefined
        ? null
        : await dataOf(resolveLocation(process.cwd(), options.data), manifestPath, sha256),
    sequenceLength: options.sequenceLength ?? null,
    leaveOut: options.leaveOut ?? [],
    manifestFile: { sha256, size, time: mtime.toISOString() },
    selectionSize,
  };
}

async function dataOf(folder: string, manifestPath: string, sha256: string) {
  const set = await loadMaterialized(folder);
  if (set.manifest.sha256 === sha256) return { folder, set };
  throw new DoremiError(
    "bad-data",
    "other-manifest",
    `${folder}: must be a set of ${manifestPath} (SHA-256 ${sha256}), and it was written from a manifest of SHA-256 ` +
      `${set.manifest.sha256}; write it anew with \`doremi materialize\`, or export that manifest`,
    { file: folder },
  );
}

/** @returns true where it had to be written */
async function writeUnlessThere(path: string, text: string): Promise<boolean> {
  const there = await readFile(path, "utf8").catch(() => null);
  if (there === text) return false;
  await writeFileAtomic(path, text);
  return true;
}
