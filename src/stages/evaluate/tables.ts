/** The tables of a report as cells of text: a terminal aligns them, a Markdown file puts bars between them. Pure. */
import { signed, signedInterval } from "./conclusion.ts";
import type { EvaluateOutput, ReportedComparison } from "./contract.ts";

export interface ReportColumn {
  /** lines divided by \n */
  readonly header: string;
  readonly align?: "left";
}

export interface ReportTable {
  readonly title: string;
  readonly columns: readonly ReportColumn[];
  readonly rows: readonly (readonly string[])[];
}

const NONE = "–";
const FIRST: ReportColumn = { header: "domain", align: "left" };
const MARKS = { wins: "better", loses: "worse", "inside the noise": "~" } as const;

export function reportTables(report: EvaluateOutput): ReportTable[] {
  return [
    weightsTable(report),
    perplexityTable(report),
    ...report.comparisons.map((comparison) => lossTable(report, comparison)),
    summaryTable(report),
  ];
}

/** What was trained on, and how often a domain was read. */
function weightsTable({ domains, mixtures }: EvaluateOutput): ReportTable {
  return {
    title: "Weights, and epochs of each domain",
    columns: [FIRST, ...mixtures.flatMap(({ name }) => [{ header: `${name}\nweight` }, { header: "epochs" }])],
    rows: domains.map(({ name }, k) => [
      name,
      ...mixtures.flatMap(({ domains: own }) => [own[k]!.weight.toFixed(4), own[k]!.epochs.toFixed(2)]),
    ]),
  };
}

function perplexityTable({ domains, mixtures }: EvaluateOutput): ReportTable {
  return {
    title: "Held-out perplexity",
    columns: [FIRST, ...mixtures.map(({ name }) => ({ header: name }))],
    rows: domains.map(({ name }, k) => [
      name,
      ...mixtures.map(({ domains: own }) => own[k]!.perplexity?.toFixed(2) ?? NONE),
    ]),
  };
}

function lossTable({ confidence }: EvaluateOutput, comparison: ReportedComparison): ReportTable {
  const { baseline, candidate, domains, average, weighted, worst } = comparison;
  const row = (name: string, { baseline, candidate, difference, verdict }: ReportedComparison["average"]) => [
    name,
    baseline.mean.toFixed(3),
    candidate.mean.toFixed(3),
    signed(difference.mean),
    difference.interval ? `${signed(difference.interval.low)} to ${signed(difference.interval.high)}` : NONE,
    MARKS[verdict],
  ];
  const worstName =
    worst.baselineDomain === worst.candidateDomain
      ? `worst (${worst.candidateDomain})`
      : `worst (${worst.baselineDomain}; ${worst.candidateDomain})`;
  return {
    title: `Held-out loss, nats per token: ${candidate} against ${baseline}`,
    columns: [
      FIRST,
      { header: baseline },
      { header: candidate },
      { header: "difference" },
      { header: `${confidence * 100} % interval` },
      { header: "", align: "left" },
    ],
    rows: [
      ...domains.map((domain) => row(domain.name, domain)),
      row("average", average),
      row("average by tokens", weighted),
      row(worstName, worst),
    ],
  };
}

/** A row per candidate, as the paper sums up its tables. */
function summaryTable({ comparisons, steps }: EvaluateOutput): ReportTable {
  return {
    title: `Against ${comparisons[0]!.baseline}`,
    columns: [
      { header: "mixture", align: "left" },
      { header: "average\nloss" },
      { header: "worst\ndomain" },
      { header: "better" },
      { header: "worse" },
      { header: "in the\nnoise" },
      { header: "baseline's loss\nreached after" },
    ],
    rows: comparisons.map(({ candidate, average, worst, wins, losses, undecided, speedUp }) => [
      candidate,
      signedInterval(average.difference),
      signedInterval(worst.difference),
      String(wins),
      String(losses),
      String(undecided),
      speedUp === null
        ? NONE
        : speedUp.steps === null
          ? "never"
          : `${((100 * speedUp.steps) / steps).toFixed(0)} % of the steps`,
    ]),
  };
}
