/** Who trains against whom on what: all runs of the benchmark, as data. Starts nothing. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "../process.ts";
import { type CaseName, caseOf, type RecipeName } from "./cases.ts";
import { WARM_UP_STEPS } from "./job.ts";
import type { Options } from "./options.ts";

export const OURS = "doremi";
/** The product of matrices that tells what the machine can do. */
export const PEAK = "peak";

export interface Contender {
  readonly name: string;
  /** @param round 0-based */
  command(round: number): Command;
}

/** Programs that do the same work, in turn. */
export type Contest =
  | { readonly part: "steps" | "proxy"; readonly case: CaseName; readonly contenders: readonly Contender[] }
  | { readonly part: "recipe"; readonly recipe: RecipeName; readonly contenders: readonly Contender[] }
  | { readonly part: "opening"; readonly contenders: readonly Contender[] };

export function describeContest(contest: Contest): string {
  if (contest.part === "opening") return contest.part;
  return `${contest.part} ${contest.part === "recipe" ? contest.recipe : contest.case}`;
}

/** What the programs read. */
export interface Inputs {
  /** with a folder for each case */
  readonly jobs: string;
  /** with a folder for each recipe */
  readonly recipes: string;
  /** where torch.compile keeps what it compiled, so that it compiles in the first round only */
  readonly compiled: string;
}

/** Where attention is computed in steps it was never the fastest; it is measured once, where steps are short. */
const ALL_MODES = ["eager", "sdpa", "compile", "compile+sdpa"] as const;
const FAST_MODES = ["sdpa", "compile+sdpa"] as const;
/** A proxy needs two models in memory and a third more time: measured where steps are short. */
export const PROXY_CASES: readonly CaseName[] = ["a", "b"];

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export function planContests(options: Options, inputs: Inputs): Contest[] {
  const { parts, cases, recipes, threads, python } = options;
  const ours = (...args: readonly string[]): Contender => ({
    name: OURS,
    command: () => ({ program: process.execPath, args: ["--import", "tsx", file(args[0]!), ...args.slice(1)] }),
  });
  const torch = (modes: readonly string[], args: (mode: string, round: number) => readonly string[]): Contender[] =>
    python === null
      ? []
      : modes.map((mode) => ({
          name: `torch ${mode}`,
          command: (round) => ({
            program: python,
            args: [file("peers.py"), ...args(mode, round), String(threads)],
            env: { TORCHINDUCTOR_CACHE_DIR: inputs.compiled },
          }),
        }));
  const peak: Contender[] =
    python === null
      ? []
      : [{ name: PEAK, command: () => ({ program: python, args: [file("peers.py"), "gemm", String(threads)] }) }];

  const contests: Contest[] = [];
  for (const name of cases) {
    const folder = join(inputs.jobs, name);
    const steps = String(WARM_UP_STEPS + caseOf[name].timedSteps);
    const inTorch = (job: string, modes: readonly string[]) =>
      torch(modes, (mode) => ["steps", folder, mode, job, steps]);
    const inNode = (job: string) => ours("steps.ts", folder, job, steps, String(threads));
    if (parts.includes("steps")) {
      const modes = name === "a" ? ALL_MODES : FAST_MODES;
      contests.push({ part: "steps", case: name, contenders: [...peak, inNode("plain"), ...inTorch("plain", modes)] });
    }
    if (parts.includes("proxy") && PROXY_CASES.includes(name)) {
      const cached = inTorch("cached", ["sdpa"]).map((one) => ({ ...one, name: `${one.name}, cached` }));
      contests.push({
        part: "proxy",
        case: name,
        contenders: [inNode("cached"), ...inTorch("resident", FAST_MODES), ...cached],
      });
    }
  }
  if (parts.includes("opening")) contests.push({ part: "opening", contenders: [ours("opening.ts")] });
  for (const recipe of parts.includes("recipe") ? recipes : []) {
    const folder = join(inputs.recipes, recipe);
    // a seed for each round, so that the rounds tell both the time and how far seeds are apart
    const node: Contender = {
      name: OURS,
      command: (round) => ours("recipe.ts", folder, String(round + 1), String(threads)).command(round),
    };
    const peers = torch(FAST_MODES, (mode, round) => ["recipe", folder, mode, String(round + 1)]);
    contests.push({ part: "recipe", recipe, contenders: [node, ...peers] });
  }
  return contests;
}
