/** From runs to figures: medians, ratios, agreement, and which goals they meet. Pure. */
import type { Goal } from "../markdown.ts";
import { median, megabytes } from "../statistics.ts";
import { caseOf, limitMs } from "./cases.ts";
import { OURS, PEAK } from "./contenders.ts";
import { WARM_UP_STEPS } from "./job.ts";
import type { ContestResult, Run } from "./measure.ts";

/** Losses of the first steps, and domain weights, may differ by this: float32 sums taken in another order. */
const SAME_WITHIN = 1e-4;
const FIRST_STEPS = 4;

const LIMIT_GOAL = 1.15;
const LIMIT_CASES = ["a", "b"];
const PROXY_GOAL = 1.35;
const RECIPE_GOAL = 2;
const OPENING_GOAL_SECONDS = 2;

/** What a run's time is: a step's median without warm-up, in ms; else seconds of opening, or from start to exit. */
export function timeOf({ line, wallSeconds }: Run): number {
  if (line.milliseconds) return median(line.milliseconds.slice(WARM_UP_STEPS));
  return line.seconds ?? wallSeconds;
}

export const runsOf = ({ runs }: ContestResult, contender: string): Run[] =>
  runs.filter((run) => run.contender === contender);

export const medianTime = (result: ContestResult, contender: string) => median(runsOf(result, contender).map(timeOf));

/** null where the system does not tell */
export function medianPeak(result: ContestResult, contender: string): number | null {
  const peaks = runsOf(result, contender).flatMap(({ peakBytes }) => peakBytes ?? []);
  return peaks.length === 0 ? null : median(peaks);
}

/** How many times as fast ours is: the median over the rounds in which both ran, each round by itself. */
export function timesAsFast(result: ContestResult, other: string): number {
  const others = runsOf(result, other);
  return median(
    runsOf(result, OURS).flatMap((run) => {
      const peer = others.find(({ round }) => round === run.round);
      return peer ? [timeOf(peer) / timeOf(run)] : [];
    }),
  );
}

/** Largest difference of the first losses, and of the domain weights, from ours; 0 for programs that print none. */
export function differenceOf(result: ContestResult, contender: string): number {
  const [ours] = runsOf(result, OURS);
  const differences = runsOf(result, contender).flatMap(({ line }) => {
    const pairs = [
      [line.losses?.slice(0, FIRST_STEPS), ours?.line.losses],
      [line.alpha, ours?.line.alpha],
    ];
    return pairs.flatMap(([theirs, own]) => theirs?.map((value, i) => Math.abs(value - own![i]!)) ?? []);
  });
  return Math.max(0, ...differences); // NaN where one is: that is a difference too
}

export const isSameWork = (result: ContestResult, contender: string) => differenceOf(result, contender) <= SAME_WITHIN;

/** Peers that ran and did the same work. */
export function peersOf(result: ContestResult): string[] {
  const names = new Set(result.runs.map(({ contender }) => contender));
  return [...names].filter((name) => name.startsWith("torch") && isSameWork(result, name));
}

/** Best of all runs, GFLOP/s; undefined where it was not measured. */
export function machinePeak(results: readonly ContestResult[]): number | undefined {
  const rates = results.flatMap((result) => runsOf(result, PEAK).map(({ line }) => line.gflops!));
  return rates.length === 0 ? undefined : Math.max(...rates);
}

export interface WeightsAgreement {
  /** largest difference of a domain's mean weight between ours and the peers */
  readonly between: number;
  /** largest difference of a domain's weight between two seeds of one program */
  readonly seeds: number;
}

/** Learned weights of the last round. null without a peer */
export function weightsAgreement(result: ContestResult): WeightsAgreement | null {
  const last = (run: Run) => run.line.rounds!.at(-1)!;
  const ours = runsOf(result, OURS).map(last);
  const peers = peersOf(result).map((name) => runsOf(result, name).map(last));
  if (peers.length === 0) return null;
  const domains = ours[0]!.map((_, domain) => domain);
  const mean = (runs: readonly (readonly number[])[], domain: number) =>
    runs.reduce((sum, weights) => sum + weights[domain]!, 0) / runs.length;
  const spread = (runs: readonly (readonly number[])[], domain: number) =>
    Math.max(...runs.map((weights) => weights[domain]!)) - Math.min(...runs.map((weights) => weights[domain]!));
  return {
    between: Math.max(
      ...peers.flatMap((peer) => domains.map((domain) => Math.abs(mean(ours, domain) - mean(peer, domain)))),
    ),
    seeds: Math.max(...[ours, ...peers].flatMap((program) => domains.map((domain) => spread(program, domain)))),
  };
}

export function goalsOf(results: readonly ContestResult[]): Goal[] {
  const peak = machinePeak(results);
  return results.flatMap((result): Goal[] => {
    const { contest } = result;
    const peers = peersOf(result);
    const fastest = [...peers].sort((a, b) => medianTime(result, a) - medianTime(result, b))[0];
    switch (contest.part) {
      case "steps":
        return [
          ...(fastest ? [times(`a step of ${contest.case}, ${fastest}`, result, fastest, 1)] : []),
          ...(peak && LIMIT_CASES.includes(contest.case) ? [limitGoal(result, contest.case, peak)] : []),
          ...memoryGoal(result, contest.case, peers),
        ];
      case "proxy": {
        const resident = peers.filter((name) => !name.endsWith("cached"));
        const best = resident.sort((a, b) => medianTime(result, a) - medianTime(result, b))[0];
        return best ? [times(`a proxy step of ${contest.case}, ${best}, resident`, result, best, PROXY_GOAL)] : [];
      }
      case "opening": {
        const found = medianTime(result, OURS);
        const goal = OPENING_GOAL_SECONDS;
        return [{ what: "opening 280M", goal: `< ${goal} s`, found: `${found.toFixed(2)} s`, met: found < goal }];
      }
      case "recipe":
        return [
          ...(fastest ? [times(`the recipe, ${contest.recipe}, ${fastest}`, result, fastest, RECIPE_GOAL)] : []),
          ...weightsGoal(result, contest.recipe),
        ];
      default:
        return contest satisfies never;
    }
  });
}

function times(what: string, result: ContestResult, peer: string, goal: number): Goal {
  const found = timesAsFast(result, peer);
  return { what, goal: `≥ ${goal} × as fast`, found: `${found.toFixed(2)} ×`, met: found >= goal };
}

function limitGoal(result: ContestResult, name: keyof typeof caseOf, peak: number): Goal {
  const found = medianTime(result, OURS) / limitMs(caseOf[name], peak);
  return {
    what: `a step of ${name}, the limit`,
    goal: `≤ ${LIMIT_GOAL} × its time`,
    found: `${found.toFixed(2)} ×`,
    met: found <= LIMIT_GOAL,
  };
}

function memoryGoal(result: ContestResult, name: string, peers: readonly string[]): Goal[] {
  const found = medianPeak(result, OURS);
  const others = peers.flatMap((peer) => medianPeak(result, peer) ?? []);
  if (found === null || others.length === 0) return [];
  const least = Math.min(...others);
  return [{ what: `memory of ${name}`, goal: `< ${megabytes(least)}`, found: megabytes(found), met: found < least }];
}

function weightsGoal(result: ContestResult, recipe: string): Goal[] {
  const agreement = weightsAgreement(result);
  if (!agreement || runsOf(result, OURS).length < 2) return [];
  const { between, seeds } = agreement;
  return [
    {
      what: `the recipe's weights, ${recipe}, largest difference of a domain's mean`,
      goal: `≤ ${seeds.toFixed(4)}, as far as seeds are apart`,
      found: between.toFixed(4),
      met: between <= seeds,
    },
  ];
}
