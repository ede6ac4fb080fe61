/** Runs the contests: round after round, in each every program once, so that what else the machine does meets all of them. */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { lastLine, runProgram } from "../process.ts";
import type { Contender, Contest } from "./contenders.ts";

export interface Run {
  readonly contender: string;
  readonly round: number;
  /** passes over the text; where the whole program is timed, one */
  readonly seconds: readonly number[];
  /** reading the vocabulary and building tables; null where it is part of `seconds` */
  readonly loadSeconds: number | null;
  readonly tokens: number;
  readonly peakBytes: number | null;
  readonly mainThreadSeconds: number | null;
}

export interface ContestResult {
  readonly contest: Contest;
  readonly runs: readonly Run[];
}

/** @param folder where every run gets a fresh folder @param say told of each run as it ends */
export async function runContest(
  contest: Contest,
  folder: string,
  say: (contest: Contest, run: Run) => void,
): Promise<ContestResult> {
  const runs: Run[] = [];
  const rounds = Math.max(...contest.contenders.map((contender) => contender.rounds));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contest.contenders) {
      if (round >= contender.rounds) continue;
      const run = await runOnce(contest, contender, round, folder);
      say(contest, run);
      runs.push(run);
    }
  }
  return { contest, runs };
}

async function runOnce(contest: Contest, contender: Contender, round: number, folder: string): Promise<Run> {
  const scratch = await mkdtemp(join(folder, "run-"));
  try {
    const exit = await runProgram(contender.command(scratch));
    const { seconds: wall, peakBytes, mainThreadSeconds } = exit;
    const base = { contender: contender.name, round, peakBytes, mainThreadSeconds };
    if (contest.part === "counter") {
      const { loadSeconds, seconds, tokens } = lastLine(exit.stdout) as CounterLine;
      return { ...base, loadSeconds, seconds, tokens: tokens[0]! };
    }
    return {
      ...base,
      loadSeconds: null,
      seconds: [wall],
      tokens: totalTokens(lastLine(exit.stdout), contest.vocabulary),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface CounterLine {
  readonly loadSeconds: number;
  readonly seconds: readonly number[];
  readonly tokens: readonly number[];
}

/** Of the result line of `doremi count`, or of peers.py. */
function totalTokens(line: unknown, vocabulary: string): number {
  const { domains, tokens } = line as {
    domains?: Record<string, { tokens: Record<string, number> }>;
    tokens?: Record<string, number>;
  };
  const counts = domains ? Object.values(domains).map((domain) => domain.tokens[vocabulary]!) : Object.values(tokens!);
  return counts.reduce((sum, count) => sum + count, 0);
}
