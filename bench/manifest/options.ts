/** What `npm run bench:manifest` is told: options, their defaults, and the text of --help. */
import { parseArgs } from "node:util";
import { listOf, positive } from "../arguments.ts";
import type { CorpusSize } from "./corpus.ts";

export const PARTS = ["document", "row-group", "verify"] as const;
export type Part = (typeof PARTS)[number];

export interface Options extends CorpusSize {
  readonly parts: readonly Part[];
  readonly runs: number;
  /** of the tokens that there are, in percent */
  readonly budgetPercent: number;
  /** where the figures go as a page; null: nowhere but to stdout */
  readonly out: string | null;
}

const DEFAULTS = { shards: "10000", documents: "100000000", domains: "22", runs: "1", budget: "60" };

export const HELP = `Measures resampling of a corpus that is there as counts alone, and prints the figures as JSON.

usage: npm run bench:manifest -- [options]

  --shards N       (default: ${DEFAULTS.shards})
  --documents N    in all of them together (default: ${DEFAULTS.documents})
  --domains N      (default: ${DEFAULTS.domains})
  --mixed          documents of all domains in every shard, not of one
  --budget N       tokens to be chosen, in percent of those that there are (default: ${DEFAULTS.budget})
  --parts LIST     of ${PARTS.join(", ")} (default: all)
                     document   documents chosen one by one, mixed and shuffled: the stage resample from end to end
                     row-group  the same by row group, with none held out
                     verify     the selection of the part document checked against counts of the files
  --runs N         rounds; in each, every part runs once, in a process of its own (default: ${DEFAULTS.runs})
  --out FILE       the figures as a page of Markdown as well
  --help

The default takes 1.3 GB in the system's folder for temporary files, and half a minute to make the counts before anything is measured.
`;

/** @returns null where help is asked for @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      shards: { type: "string", default: DEFAULTS.shards },
      documents: { type: "string", default: DEFAULTS.documents },
      domains: { type: "string", default: DEFAULTS.domains },
      mixed: { type: "boolean", default: false },
      budget: { type: "string", default: DEFAULTS.budget },
      parts: { type: "string", default: PARTS.join(",") },
      runs: { type: "string", default: DEFAULTS.runs },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const options = {
    shards: positive(values.shards, "--shards"),
    documents: positive(values.documents, "--documents"),
    domains: positive(values.domains, "--domains"),
    mixed: values.mixed,
    budgetPercent: positive(values.budget, "--budget"),
    parts: listOf(values.parts, PARTS, "--parts"),
    runs: positive(values.runs, "--runs"),
    out: values.out ?? null,
  };
  if (options.shards < options.domains) throw new Error("--shards: must be at least as many as --domains");
  if (options.documents < options.shards) throw new Error("--documents: must be at least as many as --shards");
  if (options.parts.includes("verify") && !options.parts.includes("document"))
    throw new Error("--parts: verify checks what document makes; name both");
  return options;
}
