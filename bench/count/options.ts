/** What `npm run bench:count` is told: options, their defaults, and the text of --help. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { listOf, positive } from "../arguments.ts";

export const VOCABULARIES = ["r50k", "cl100k", "o200k", "llama3", "llama2"] as const;
export type VocabularyName = (typeof VOCABULARIES)[number];

export const PARTS = ["counter", "end-to-end", "scaling"] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly patterns: readonly string[];
  /** executable; null: only peers that run in Node */
  readonly python: string | null;
  readonly parts: readonly Part[];
  readonly vocabularies: readonly VocabularyName[];
  /** rounds of an alternation */
  readonly runs: number;
  /** rounds that a peer takes part in which needs minutes for one */
  readonly slowRuns: number;
  /** text bytes at most; a smaller corpus is taken whole */
  readonly maxBytes: number;
  readonly repetitions: number;
  readonly workers: number;
  readonly out: string;
}

const DEFAULTS = {
  data: fileURLToPath(new URL("../../pipelines/quickstart/data/*/part-*", import.meta.url)),
  out: fileURLToPath(new URL("../results/count.md", import.meta.url)),
  runs: "5",
  "slow-runs": "1",
  megabytes: "1000",
  repetitions: "10",
};

export const HELP = `Measures counting beside other programs and writes the figures.

usage: npm run bench:count -- [options] [FILE or GLOB…]

Files are Parquet, Arrow or JSON Lines with a column "text"; the folder that a file lies in is its domain. Without any,
the quickstart's data are counted.

  --python FILE        Python with the peers: whichever it has of gigatoken (with awkward and pyarrow), tiktoken,
                       tokenizers, datatrove and datasets take part. Without it, only gpt-tokenizer does, and the
                       parts end-to-end and scaling, whose files pyarrow writes, are left out.
  --parts LIST         of ${PARTS.join(", ")} (default: all)
  --vocabularies LIST  of ${VOCABULARIES.join(", ")} (default: all)
  --runs N             rounds; in each, every program runs once, one after the other (default: ${DEFAULTS.runs})
  --slow-runs N        rounds for tokenizers, datatrove and datasets (default: ${DEFAULTS["slow-runs"]})
  --megabytes N        of text at most, every k-th document of a larger corpus (default: ${DEFAULTS.megabytes})
  --repetitions N      how often the larger corpus has the text (default: ${DEFAULTS.repetitions})
  --out FILE           (default: bench/results/count.md)
  --help
`;

/** @returns null where help is asked for @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      python: { type: "string" },
      parts: { type: "string", default: PARTS.join(",") },
      vocabularies: { type: "string", default: VOCABULARIES.join(",") },
      runs: { type: "string", default: DEFAULTS.runs },
      "slow-runs": { type: "string", default: DEFAULTS["slow-runs"] },
      megabytes: { type: "string", default: DEFAULTS.megabytes },
      repetitions: { type: "string", default: DEFAULTS.repetitions },
      out: { type: "string", default: DEFAULTS.out },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  return {
    patterns: positionals.length > 0 ? positionals : [DEFAULTS.data],
    python: values.python ?? null,
    parts: listOf(values.parts, PARTS, "--parts"),
    vocabularies: listOf(values.vocabularies, VOCABULARIES, "--vocabularies"),
    runs: positive(values.runs, "--runs"),
    slowRuns: positive(values["slow-runs"], "--slow-runs"),
    maxBytes: positive(values.megabytes, "--megabytes") * 1e6,
    repetitions: positive(values.repetitions, "--repetitions"),
    workers: Math.min(2, availableParallelism()),
    out: values.out,
  };
}
