/** The record of a finished set, and the files that a format puts beside its shards. */
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { sha256 } from "../../lib/hash.ts";
import { GENERATOR } from "../../lib/version.ts";
import type { MaterializedFile, MaterializedGroup, MaterializedSet } from "../../manifest/materialized.ts";
import { relativeLocation } from "../../storage/location.ts";
import type { SetFile } from "./output-format.ts";
import type { MaterializePlan } from "./plan.ts";
import type { MaterializeRequest } from "./request.ts";
import { inFolder } from "./state.ts";
import type { WriteMark } from "./write-worker.ts";

type RecordRequest = Pick<
  MaterializeRequest,
  "manifest" | "manifestSha256" | "manifestPath" | "settings" | "format" | "tokenizer" | "output" | "state" | "upload"
>;

/** @param shards marks of all shards, in order */
export function recordOf(request: RecordRequest, plan: MaterializePlan, shards: readonly WriteMark[]): MaterializedSet {
  const { manifest, manifestSha256, manifestPath, settings, format, tokenizer, output, state, upload } = request;
  const separated = settings.separator === null ? 0 : 1;
  const totalsOf = (marks: readonly WriteMark[]) => {
    const total = (of: "documents" | "tokens") =>
      marks.reduce((sum, { totals }) => sum + totals[of].reduce((a, b) => a + b, 0), 0);
    const documents = total("documents");
    return { documents, tokens: total("tokens"), separators: documents * separated };
  };
  const groups: MaterializedGroup[] = plan.groups.map((group) => {
    const marks = shards.slice(group.firstShard, group.firstShard + group.shards);
    return {
      domain: group.domain === null ? null : plan.domains[group.domain]!,
      folder: group.folder,
      ...totalsOf(marks),
      shards: marks.map((mark) => ({ ...totalsOf([mark]), files: inFolder(group.folder, mark.files) })),
    };
  });
  const { fingerprint, vocabularySize } = tokenizer;
  return {
    format: "doremi-materialized",
    version: 1,
    generator: GENERATOR,
    key: state.key,
    manifest: { path: relativeLocation(upload?.uri ?? output, manifestPath), sha256: manifestSha256 },
    output: settings.output,
    layout: settings.layout,
    repeats: settings.repeats,
    tokenizer: { name: manifest.tokenizer.name, fingerprint, vocabularySize },
    idBytes: format.idBytes?.(vocabularySize) ?? null,
    separator: settings.separator,
    compression: settings.compression,
    ...totalsOf(shards),
    groups,
    files: [],
  };
}

/** Writes what the format puts beside the shards. @returns the record with these files in it */
export async function writeSetFiles(
  set: MaterializedSet,
  { format, manifest, output }: Pick<RecordRequest, "format" | "manifest" | "output">,
): Promise<MaterializedSet> {
  const files: MaterializedFile[] = [];
  const write = async (contents: readonly SetFile[] | undefined) => {
    for (const { path, content } of contents ?? []) {
      await writeFileAtomic(join(output, ...path.split("/")), content);
      files.push({ path, size: Buffer.byteLength(content), sha256: sha256(content) });
    }
  };
  for (const group of set.groups) await write(await format.groupFiles?.(group, set, output));
  await write(await format.setFiles?.(set, manifest, output));
  return { ...set, files };
}
