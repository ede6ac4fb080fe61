/** Reads the documents that a manifest selects, through its transform where it has one. */
import { loadManifest } from "../manifest/load.ts";
import { type ManifestDocument, type ReadManifestOptions, readManifest as readStored } from "../manifest/read.ts";
import type { UnitReader } from "../manifest/source-shard.ts";
import { readDocuments } from "../stages/documents.ts";
import { folderOf, resolveLocation } from "../storage/location.ts";
import { manifestTransform } from "./verify.ts";

export interface ReadOptions extends ReadManifestOptions {
  /** run the transform module that the manifest names; it is code, so it is not run unasked */
  readonly allowTransform?: boolean;
}

/**
 * Documents in the order of the selection, as an async iterable: it reads on only as fast as it is consumed.
 * @throws DoremiError
 */
export async function* readManifest(path: string, options: ReadOptions = {}): AsyncGenerator<ManifestDocument, void> {
  const manifest = await loadManifest(path);
  if (!manifest.transform || options.readUnit) {
    yield* readStored(path, options);
    return;
  }
  const transform = await manifestTransform(manifest, folderOf(resolveLocation(process.cwd(), path)), options);
  const readUnit: UnitReader = ({ path: file, layout, unit, file: { domain, version } }) =>
    readDocuments(
      {
        path: file,
        ...(version !== undefined && { version }),
        layout,
        unit,
        textColumn: manifest.columns.text,
        domainColumn: manifest.columns.domain,
        domain,
        transform,
        ...(manifest.badDocuments && { onBadDocument: manifest.badDocuments.policy }),
      },
      { rows: 0 },
    );
  yield* readStored(path, { ...options, readUnit });
}
