/** Every chart, in the order of the page, and what of a run it shows when nobody has chosen. */
import type { ReportData } from "../data/contract.ts";
import type { Chart, ChartView } from "./contract.ts";
import { evaluationDifference, evaluationLoss } from "./evaluation.ts";
import { flow } from "./flow.ts";
import { histogram, lengths } from "./lengths.ts";
import { rounds } from "./rounds.ts";
import { shares } from "./shares.ts";
import { alpha, domainLoss, excess, heldOut, trainingLoss } from "./steps.ts";
import type { Theme } from "./theme.ts";
import { epochs, weights } from "./weights.ts";

export interface ChartSection {
  readonly id: string;
  readonly title: string;
  readonly charts: readonly Chart[];
}

export const SECTIONS: readonly ChartSection[] = [
  { id: "weights", title: "Weights", charts: [weights, epochs] },
  { id: "learning", title: "Learning", charts: [alpha, excess, domainLoss, trainingLoss, heldOut] },
  { id: "rounds", title: "Rounds and seeds", charts: [rounds] },
  { id: "evaluation", title: "Evaluation", charts: [evaluationDifference, evaluationLoss] },
  { id: "corpus", title: "Corpus", charts: [shares, lengths, histogram] },
  { id: "flow", title: "Flow of tokens", charts: [flow] },
];

/** Domains in rows when nobody has chosen: as many as fit a page. */
export const ROWS_SHOWN = 30;
/** Lines that can be told apart. */
export const LINES_SHOWN = 8;

/** Places of the domains from the largest to the smallest, by what the run came to. */
export function bySize({ domains, weights: found, counts }: ReportData): number[] {
  const sizes = found?.learned ?? found?.baseline ?? counts?.tokenizers[0]?.tokens ?? [];
  return domains.map((_, k) => k).sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || a - b);
}

export function defaultView(data: ReportData, theme: Theme, width: number): ChartView {
  const order = bySize(data);
  return {
    ...{ theme, width, logarithmic: false },
    rows: order.slice(0, ROWS_SHOWN),
    others: order.slice(ROWS_SHOWN),
    lines: order.slice(0, LINES_SHOWN),
  };
}
