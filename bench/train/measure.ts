/** Runs the contests: round after round, in each every program once, so that what else the machine does meets all of them. */
import { lastLine, runProgram } from "../process.ts";
import type { Contest } from "./contenders.ts";

/** What a program of steps prints. */
export interface StepsLine {
  /** mean loss of each step's batch */
  readonly losses: readonly number[];
  readonly milliseconds: readonly number[];
  /** of a proxy after its last step */
  readonly alpha: readonly number[] | null;
}

/** What a program of the recipe prints: the learned weights of each round, by domain. */
export interface RecipeLine {
  readonly rounds: readonly (readonly number[])[];
}

export interface Line extends Partial<StepsLine>, Partial<RecipeLine> {
  /** of a product of matrices */
  readonly gflops?: number;
  /** of opening a session */
  readonly seconds?: number;
}

export interface Run {
  readonly contender: string;
  readonly round: number;
  /** from start to exit */
  readonly wallSeconds: number;
  readonly peakBytes: number | null;
  /** share of the processors that other programs had meanwhile, 0..1 */
  readonly otherShare: number | null;
  readonly line: Line;
}

export interface ContestResult {
  readonly contest: Contest;
  readonly runs: readonly Run[];
  /** programs that could not run, and what they said */
  readonly failures: readonly { readonly contender: string; readonly message: string }[];
}

/** A program that fails is not started again; ours failing is an error. */
export async function runContest(
  contest: Contest,
  rounds: number,
  ours: string,
  say: (contest: Contest, run: Run) => void,
): Promise<ContestResult> {
  const runs: Run[] = [];
  const failures = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, command } of contest.contenders) {
      if (failures.has(name)) continue;
      try {
        const { stdout, seconds, peakBytes, otherShare } = await runProgram(command(round));
        const line = lastLine(stdout) as Line;
        const run = { contender: name, round, wallSeconds: seconds, peakBytes, otherShare, line };
        say(contest, run);
        runs.push(run);
      } catch (error) {
        if (name === ours) throw error;
        failures.set(name, (error as Error).message.trimEnd().split("\n").at(-1)!);
      }
    }
  }
  return { contest, runs, failures: [...failures].map(([contender, message]) => ({ contender, message })) };
}
