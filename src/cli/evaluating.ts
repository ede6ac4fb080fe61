/**
 * What `evaluate` does once its pipeline is read: run it with a display, print the tables and the conclusions, give back
 * the result line; or only say what it would be. Loads the whole program, so the command imports it only when it runs.
 */
import { type EvaluationPlan, planEvaluation } from "../pipeline/evaluation/plan.ts";
import { type EvaluationResult, runEvaluation } from "../pipeline/evaluation/run.ts";
import type { Pipeline } from "../pipeline/load.ts";
import type { EvaluateOutput, ReportedComparison } from "../stages/evaluate/contract.ts";
import { evaluationPlanLines } from "./evaluation-plan-text.ts";
import { evaluationLines } from "./evaluation-text.ts";
import { shownPath } from "./paths.ts";
import type { Session } from "./session.ts";

/** The result line of an evaluation, without `command`. */
export interface EvaluationLine {
  readonly status: EvaluationResult["status"];
  readonly output: string;
  readonly evaluation: string;
  readonly baseline: string;
  /** by candidate */
  readonly candidates: Readonly<Record<string, CandidateLine>>;
}

interface CandidateLine {
  readonly conclusion: string;
  readonly average: DifferenceLine;
  readonly worst: DifferenceLine;
  readonly wins: number;
  readonly losses: number;
  readonly undecided: number;
  /** share of the steps after which it is as good as the baseline in the end; null = never */
  readonly reachedAfter: number | null;
}

/** candidate − baseline, nats per token */
interface DifferenceLine {
  readonly difference: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly verdict: string;
}

export async function evaluateAndSummarise(session: Session, pipeline: Pipeline): Promise<EvaluationLine> {
  const result = await runEvaluation(pipeline, { signal: session.signal, onEvent: session.onEvent });
  const { evaluation, paths, status, output } = result;
  const line = { status, output, evaluation: paths.evaluation, ...comparisonsLine(evaluation) };
  session.summarise(["", ...evaluationLines(evaluation), "", ...pathLines(result)], line);
  return line;
}

export async function planAndSummarise(session: Session, pipeline: Pipeline): Promise<EvaluationPlan> {
  const plan = await planEvaluation(pipeline);
  session.summarise(evaluationPlanLines(plan));
  return plan;
}

function pathLines({ paths, status }: EvaluationResult): string[] {
  return [
    ...(status === "unchanged" ? ["Nothing to do: all of it was done before and is unchanged.", ""] : []),
    `table       ${shownPath(paths.table)}`,
    `text        ${shownPath(paths.text)}`,
    `evaluation  ${shownPath(paths.evaluation)}`,
  ];
}

function comparisonsLine({ comparisons, mixtures }: EvaluateOutput): Pick<EvaluationLine, "baseline" | "candidates"> {
  return {
    baseline: mixtures[0]!.name,
    candidates: Object.fromEntries(comparisons.map((comparison) => [comparison.candidate, candidateLine(comparison)])),
  };
}

function candidateLine(comparison: ReportedComparison): CandidateLine {
  const { conclusion, average, worst, wins, losses, undecided, speedUp } = comparison;
  return {
    conclusion,
    average: differenceLine(average),
    worst: differenceLine(worst),
    wins,
    losses,
    undecided,
    reachedAfter: speedUp?.share ?? null,
  };
}

function differenceLine({ difference, verdict }: ReportedComparison["average"]): DifferenceLine {
  const { mean, interval } = difference;
  return { difference: mean, low: interval?.low ?? null, high: interval?.high ?? null, verdict };
}
