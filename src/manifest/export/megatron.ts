/**
 * Megatron-LM: a blend of `.bin`/`.idx` prefixes, sampled in sequences that are cut from the ids of all documents of a
 * prefix, separators included. A domain of several shards is several prefixes that share its weight by their ids.
 */
import { type Component, filesOf, type Mixture, mixtureOf, refusal, refusePaths } from "./components.ts";
import type { Exporter, ExportRequest } from "./exporter.ts";

export interface BlendEntry {
  readonly weight: number;
  /** path without .bin and .idx */
  readonly prefix: string;
}

export const megatron: Exporter = {
  stack: "megatron",
  title: "Megatron-LM",
  unit: "sequences",
  reads: ["megatron"],
  needsData: true,
  writes: ["blend.txt", "per-split.json"],
  export(request) {
    const mixture = mixtureOf(megatron, request, { draw: "written-ids", repeatsItself: true });
    const blend = blendOf(megatron, request, mixture);
    refusePaths(
      megatron,
      blend.map((entry) => entry.prefix),
      /\s/,
      "white space",
    );
    const list = blend.flatMap(({ weight, prefix }) => [String(weight), prefix]);
    return {
      files: [
        { path: "blend.txt", text: blend.map(({ weight, prefix }) => `${weight} ${prefix}\n`).join("") },
        { path: "per-split.json", text: `${JSON.stringify({ train: list, valid: null, test: null }, null, 2)}\n` },
      ],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "Give blend.txt to --data-args-path with --split 1,0,0, or per-split.json to --per-split-data-args-path once its valid and test hold sets of yours; with null they are not built.",
        ...sampleNotes(request, mixture),
        "Megatron-LM shuffles documents and sequences by its own --seed: the blend keeps the proportions, not the manifest's order.",
      ],
    };
  },
};

/** @throws DoremiError bad-materialized for a shard without both files */
export function blendOf(exporter: Exporter, request: ExportRequest, { components }: Mixture): BlendEntry[] {
  return components.flatMap((component) => entriesOf(exporter, request, component));
}

function entriesOf(exporter: Exporter, request: ExportRequest, { group, share }: Component): BlendEntry[] {
  const ids = group.tokens + group.separators;
  return group.shards
    .filter((shard) => shard.tokens + shard.separators > 0)
    .map((shard) => {
      const prefixes = [/\.bin$/, /\.idx$/].map((ending) =>
        filesOf(request.data!, { ...group, shards: [shard] }, ending)[0]?.replace(ending, ""),
      );
      if (prefixes[0] === undefined || prefixes[0] !== prefixes[1]) {
        const found = shard.files.map((file) => file.path).join(", ");
        throw refusal(
          exporter,
          "bad-data",
          "bad-materialized",
          `a shard must be a .bin and an .idx of one name, and one holds ${found}; write the set anew with \`doremi materialize\``,
        );
      }
      return { weight: (share * (shard.tokens + shard.separators)) / ids, prefix: prefixes[0] };
    });
}

/** How long one pass is, where the length of a sequence is known. */
export function sampleNotes({ sequenceLength }: ExportRequest, { set }: Mixture): string[] {
  if (sequenceLength === null || set.repeats === "once") return [];
  const samples = Math.floor((set.tokens + set.separators) / sequenceLength);
  return [`One pass over the set is ${samples} samples of ${sequenceLength} tokens.`];
}
