/** What `npm run bench:memory` is told: options, their defaults, and the text of --help. */
import { parseArgs } from "node:util";
import { listOf, positive } from "../arguments.ts";

export const TRIALS = [
  "bounded",
  "document-parquet",
  "document-jsonl",
  "document-jsonl-zst",
  "row-group",
  "small-shards",
  "long",
] as const;
export type Trial = (typeof TRIALS)[number];

export interface Options {
  readonly trials: readonly Trial[];
  /** folders of one domain each with files part-* */
  readonly corpus: string;
  /** of the document of document-* */
  readonly documentMb: number;
  /** of the row group */
  readonly rowGroupMb: number;
  readonly smallShards: number;
  /** text that `bounded` and `long` count */
  readonly boundedMb: number;
  readonly longMb: number;
  /** of `bounded` and `row-group`: --max-memory */
  readonly maxMemoryMb: number;
  /** with pyarrow */
  readonly python: string;
  /** for the shards, which take up to 3 GB there; null: the system's folder for temporary files */
  readonly scratch: string | null;
  /** where the figures go as a page; null: nowhere but to stdout */
  readonly out: string | null;
}

const DEFAULTS = {
  corpus: "pipelines/quickstart/data",
  document: "500",
  rowGroup: "2000",
  shards: "100000",
  bounded: "2000",
  long: "20000",
  memory: "64",
  python: "python3",
};

export const HELP = `Counts what is large in one way or another, and prints what memory that took as JSON.

usage: npm run build && npm run bench:memory -- [options]

  --trials LIST        of ${TRIALS.join(", ")} (default: all)
                         bounded             a corpus many times larger than --max-memory
                         document-*          one document, in Parquet, JSON Lines and JSON Lines under zstd
                         row-group           one row group of Parquet, larger than --max-memory
                         small-shards        so many files of one or two documents
                         long                whether memory grows while a large corpus is counted
  --corpus FOLDER      domains with files part-* (default: ${DEFAULTS.corpus})
  --document-mb N      (default: ${DEFAULTS.document})
  --row-group-mb N     (default: ${DEFAULTS.rowGroup})
  --small-shards N     (default: ${DEFAULTS.shards})
  --bounded-mb N       text that bounded counts, by links to the corpus (default: ${DEFAULTS.bounded})
  --long-mb N          text that long counts, by links to the corpus (default: ${DEFAULTS.long})
  --max-memory-mb N    (default: ${DEFAULTS.memory})
  --python PROGRAM     one that has pyarrow, which writes the Parquet files (default: ${DEFAULTS.python})
  --scratch FOLDER     for the shards, which take up to 3 GB (default: the system's for temporary files)
  --out FILE           the figures as a page of Markdown as well
  --help
`;

/** @returns null where help is asked for @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      trials: { type: "string", default: TRIALS.join(",") },
      corpus: { type: "string", default: DEFAULTS.corpus },
      "document-mb": { type: "string", default: DEFAULTS.document },
      "row-group-mb": { type: "string", default: DEFAULTS.rowGroup },
      "small-shards": { type: "string", default: DEFAULTS.shards },
      "bounded-mb": { type: "string", default: DEFAULTS.bounded },
      "long-mb": { type: "string", default: DEFAULTS.long },
      "max-memory-mb": { type: "string", default: DEFAULTS.memory },
      python: { type: "string", default: DEFAULTS.python },
      scratch: { type: "string" },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  return {
    trials: listOf(values.trials, TRIALS, "--trials"),
    corpus: values.corpus,
    documentMb: positive(values["document-mb"], "--document-mb"),
    rowGroupMb: positive(values["row-group-mb"], "--row-group-mb"),
    smallShards: positive(values["small-shards"], "--small-shards"),
    boundedMb: positive(values["bounded-mb"], "--bounded-mb"),
    longMb: positive(values["long-mb"], "--long-mb"),
    maxMemoryMb: positive(values["max-memory-mb"], "--max-memory-mb"),
    python: values.python,
    scratch: values.scratch ?? null,
    out: values.out ?? null,
  };
}
