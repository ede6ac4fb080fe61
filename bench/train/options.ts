/** What `npm run bench:train` is told: options, their defaults, and the text of --help. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { listOf, positive } from "../arguments.ts";
import { CASES, type CaseName, RECIPES, type RecipeName } from "./cases.ts";

export const PARTS = ["steps", "proxy", "opening", "recipe"] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  /** executable with torch and numpy; null: doremi alone is measured */
  readonly python: string | null;
  readonly parts: readonly Part[];
  readonly cases: readonly CaseName[];
  readonly recipes: readonly RecipeName[];
  /** rounds; in each, every program runs once */
  readonly runs: number;
  readonly threads: number;
  /** of a reference, and of a proxy */
  readonly recipeSteps: number;
  readonly out: string;
}

const DEFAULTS = {
  out: fileURLToPath(new URL("../results/train.md", import.meta.url)),
  runs: "5",
  "recipe-steps": "60",
};

export const HELP = `Measures training beside PyTorch, writes the figures, and prints them as JSON.

usage: npm run bench:train -- [options]

  --python FILE       Python with torch and numpy. Without it, doremi alone is measured.
  --parts LIST        of ${PARTS.join(", ")} (default: all)
                        steps    a step, in time and memory
                        proxy    DoReMi's step with known reference losses, against a reference that runs in the step
                        opening  from a model of 280 million parameters to a session that can run
                        recipe   from token stores to domain weights, three rounds of reference and proxy
  --cases LIST        of ${CASES.join(", ")} (default: all)
  --recipes LIST      vocabularies of the recipe, of ${RECIPES.join(", ")} (default: all)
                        4096     the quickstart's tokenizer
                        r50k     GPT-2's 50,257 ids; doremi leaves out those that do not occur
  --runs N            rounds; in each, every program runs once, one after the other (default: ${DEFAULTS.runs})
  --threads N         of each program (default: all cores)
  --recipe-steps N    of a reference and of a proxy, in each round of the recipe (default: ${DEFAULTS["recipe-steps"]})
  --out FILE          (default: bench/results/train.md)
  --help

On two cores, five rounds of steps take about 14 minutes, of proxy 10, of recipe 25 with 4,096 ids and 75 with r50k.
`;

/** @returns null where help is asked for @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      python: { type: "string" },
      parts: { type: "string", default: PARTS.join(",") },
      cases: { type: "string", default: CASES.join(",") },
      recipes: { type: "string", default: RECIPES.join(",") },
      runs: { type: "string", default: DEFAULTS.runs },
      threads: { type: "string", default: String(availableParallelism()) },
      "recipe-steps": { type: "string", default: DEFAULTS["recipe-steps"] },
      out: { type: "string", default: DEFAULTS.out },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  return {
    python: values.python ?? null,
    parts: listOf(values.parts, PARTS, "--parts"),
    cases: listOf(values.cases, CASES, "--cases"),
    recipes: listOf(values.recipes, RECIPES, "--recipes"),
    runs: positive(values.runs, "--runs"),
    threads: positive(values.threads, "--threads"),
    recipeSteps: positive(values["recipe-steps"], "--recipe-steps"),
    out: values.out,
  };
}
