/** One shard of documents in a format, and the record of a set that has nothing else. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../../../../src/lib/hash.ts";
import type { MaterializedSet } from "../../../../src/manifest/materialized.ts";
import type { OutputDocument, OutputFormat } from "../../../../src/stages/materialize/output-format.ts";

interface Options {
  readonly name?: string;
  readonly vocabularySize?: number;
  readonly separator?: number | null;
}

export async function writeShard(
  format: OutputFormat,
  folder: string,
  documents: readonly OutputDocument[],
  { name = "part-00000", vocabularySize = 1 << 16, separator = null }: Options = {},
): Promise<MaterializedSet> {
  const request = { folder, index: 0, name, documents: documents.length, vocabularySize, separator, compression: null };
  const writer = await format.openShard(request);
  for (const document of documents) await writer.write(document);
  const names = await writer.finish();
  const tokens = documents.reduce((sum, document) => sum + document.tokens, 0);
  const totals = { documents: documents.length, tokens, separators: separator === null ? 0 : documents.length };
  const files = names.map((path) => {
    const full = join(folder, path);
    return { path, size: statSync(full).size, sha256: sha256(readFileSync(full)) };
  });
  return {
    format: "doremi-materialized",
    version: 1,
    generator: "doremi@test",
    key: "",
    manifest: { path: "manifest.json", sha256: sha256("") },
    output: format.name,
    layout: "mixed",
    repeats: "written",
    tokenizer: { name: "tiny", fingerprint: sha256(""), vocabularySize },
    idBytes: format.idBytes?.(vocabularySize) ?? null,
    separator,
    compression: null,
    ...totals,
    groups: [{ domain: null, folder: ".", ...totals, shards: [{ ...totals, files }] }],
    files: [],
  };
}

export function document(row: number, rest: Partial<OutputDocument>): OutputDocument {
  const none = { text: new Uint8Array(0), ids: new Uint32Array(0) };
  return { domain: "web", epoch: 0, file: "a.parquet", row, tokens: rest.ids?.length ?? 0, ...none, ...rest };
}
