/** From runs to figures: medians, rates, ratios, and which goals they meet. Pure. */
import type { Goal } from "../markdown.ts";
import { median, megabytes } from "../statistics.ts";
import type { ContestResult, Run } from "./measure.ts";
import type { VocabularyName } from "./options.ts";

/** Programs by the contender's name without its workers. */
const isOurs = (contender: string) => contender.startsWith("doremi");

export const runsOf = ({ runs }: ContestResult, contender: string): Run[] =>
  runs.filter((run) => run.contender === contender);

/** How many times as fast the one is: the median over the rounds in which both ran, each round by itself. */
export function timesAsFast(result: ContestResult, fast: string, slow: string, pass = 0): number {
  const others = runsOf(result, slow);
  return median(
    runsOf(result, fast).flatMap((run) => {
      const other = others.find(({ round }) => round === run.round);
      return other ? [other.seconds[pass]! / run.seconds[pass]!] : [];
    }),
  );
}

const COUNTER_GOALS: Readonly<Record<string, (vocabulary: VocabularyName) => number>> = {
  gigatoken: (vocabulary) => (vocabulary === "llama2" ? 2 : 1.5),
  tiktoken: () => 10,
  tokenizers: () => 30,
};
const END_TO_END_GOALS: Readonly<Record<string, number>> = { gigatoken: 1.5, datatrove: 25, datasets: 25 };
const MEMORY_GOAL_BYTES = 300e6;
const SCALING_GOAL = 1.9;
const MAIN_THREAD_GOAL = 0.1;

export function goalsOf(results: readonly ContestResult[]): Goal[] {
  return results.flatMap((result): Goal[] => {
    const names = result.contest.contenders.map(({ name }) => name);
    const ours = names.find(isOurs)!;
    switch (result.contest.part) {
      case "counter": {
        const { vocabulary } = result.contest;
        return names.flatMap((peer) => {
          const goal = COUNTER_GOALS[peer]?.(vocabulary);
          return goal === undefined ? [] : [times(`counting alone, ${vocabulary}, ${peer}`, result, ours, peer, goal)];
        });
      }
      case "end-to-end": {
        const where = `end to end, ${dataName(result)}`;
        const peers = names.filter((name) => END_TO_END_GOALS[name] !== undefined);
        return [
          ...peers.map((peer) => times(`${where}, ${peer}`, result, ours, peer, END_TO_END_GOALS[peer]!)),
          ...memoryGoal(where, runsOf(result, ours)),
          // in a short run, starting is most of what the main thread does
          ...(result.contest.data === "repeated" ? mainThreadGoal(where, runsOf(result, ours)) : []),
        ];
      }
      case "scaling": {
        const [one, two] = names as [string, string];
        return [times(`${two} against one`, result, two, one, SCALING_GOAL)];
      }
      default:
        return result.contest.part satisfies never;
    }
  });
}

export function dataName({ contest }: ContestResult): string {
  return { whole: "the text once", repeated: "the text repeated", sample: "every fourth document" }[contest.data];
}

function times(what: string, result: ContestResult, fast: string, slow: string, goal: number): Goal {
  const found = timesAsFast(result, fast, slow);
  return { what, goal: `≥ ${goal} ×`, found: `${found.toFixed(2)} ×`, met: found >= goal };
}

function memoryGoal(where: string, runs: readonly Run[]): Goal[] {
  const peaks = runs.flatMap(({ peakBytes }) => peakBytes ?? []);
  if (peaks.length === 0) return [];
  const found = median(peaks);
  const goal = `< ${megabytes(MEMORY_GOAL_BYTES)}`;
  return [{ what: `${where}, memory`, goal, found: megabytes(found), met: found < MEMORY_GOAL_BYTES }];
}

function mainThreadGoal(where: string, runs: readonly Run[]): Goal[] {
  const shares = runs.flatMap(({ mainThreadSeconds, seconds }) =>
    mainThreadSeconds === null ? [] : [mainThreadSeconds / seconds[0]!],
  );
  if (shares.length === 0) return [];
  const found = median(shares);
  const percent = (share: number, digits: number) => `${(share * 100).toFixed(digits)} %`;
  const goal = `< ${percent(MAIN_THREAD_GOAL, 0)} of a core`;
  return [{ what: `${where}, main thread`, goal, found: percent(found, 1), met: found < MAIN_THREAD_GOAL }];
}
