/** What a replay comes to, for a person: a column per objective beside the run's weights, the changes in sight. */
import { compareWeights } from "../mixture/replay.ts";
import type { ReplayResult, ReplayWeights } from "../stages/trace-replay.ts";
import { formatShare, plural } from "./numbers.ts";
import { objectiveParts } from "./replay-objective.ts";
import { type Column, formatTable } from "./table.ts";

/** Domains that all get a line; of more, only those that change most. */
const SHOWN_DOMAINS = 40;

/** Behind the largest change of an objective, and the room that it takes behind the others. */
const LARGEST = " ◂";
const OTHERS = "  ";

interface ReplayColumn extends Column {
  cell(domain: number): string;
  readonly foot: string;
}

export function replayLines(result: ReplayResult, domains: readonly string[], most = SHOWN_DOMAINS): string[] {
  const { run, objectives } = result;
  const shown = shownDomains(result, most);
  const columns: ReplayColumn[] = [
    { header: "domain", align: "left", cell: (domain) => domains[domain]!, foot: "moved in all" },
    weightColumn(["the run:", ...objectiveParts(run.settings)], run),
    ...objectives.flatMap((objective) => [
      weightColumn(objectiveParts(objective.settings), objective),
      changeColumn(objective, run),
    ]),
  ];
  const table = formatTable(
    columns,
    shown.map((domain) => columns.map((column) => column.cell(domain))),
    objectives.length > 0 ? [columns.map(({ foot }) => foot)] : [],
  );
  const hidden = domains.length - shown.length;
  return hidden > 0 ? [...table, "", hiddenLine(result, hidden, shown.at(-1)!)] : table;
}

/** How well the recorded weights follow from the recorded losses: whether the rest of a replay is to be trusted. */
export function reproductionLine({ reproduction, run, steps }: ReplayResult): string {
  const own = `the run's own objective (${run.settings.name})`;
  if (reproduction === null) return `Whether ${own} gives the recorded weights cannot be told from means by domain.`;
  const { verdict, largest, step } = reproduction;
  switch (verdict) {
    case "exact":
      return `Replayed, ${own} gives the recorded weights of all ${plural(steps, "step")} bit for bit.`;
    case "rounded":
      return `Replayed, ${own} gives the recorded weights of all ${plural(steps, "step")} to rounding (${largest.toExponential(0)}).`;
    case "different":
      return `Replayed, ${own} does NOT give the recorded weights: from step ${step} on they differ, by up to ${largest.toExponential(1)}. Another version may have recorded them; trust no column here.`;
    default:
      return verdict satisfies never;
  }
}

function weightColumn(header: readonly string[], { average }: ReplayWeights): ReplayColumn {
  return { header: header.join("\n"), cell: (domain) => average[domain]!.toFixed(4), foot: "" };
}

function changeColumn({ average }: ReplayWeights, run: ReplayWeights): ReplayColumn {
  const { domain: largest, change, distance } = compareWeights(average, run.average);
  return {
    header: `change${OTHERS}`,
    cell: (domain) => {
      const mark = change !== 0 && domain === largest ? LARGEST : OTHERS;
      return `${signed(average[domain]! - run.average[domain]!)}${mark}`;
    },
    foot: `${formatShare(distance)}${OTHERS}`,
  };
}

function signed(change: number): string {
  const text = change.toFixed(4);
  return Number(text) > 0 ? `+${text}` : Number(text) === 0 ? "0.0000" : text;
}

/** In their order; of very many those that change most under any objective, most first. */
function shownDomains(result: ReplayResult, most: number): number[] {
  const domains = Array.from(result.run.average, (_, domain) => domain);
  if (domains.length <= most) return domains;
  const changes = domains.map((domain) => standingOut(result, domain));
  return domains.sort((a, b) => changes[b]! - changes[a]! || a - b).slice(0, most);
}

/** Largest change of a domain's weight; where nothing is compared, its weight. */
function standingOut({ run, objectives }: ReplayResult, domain: number): number {
  const weight = run.average[domain]!;
  if (objectives.length === 0) return weight;
  return Math.max(...objectives.map(({ average }) => Math.abs(average[domain]! - weight)));
}

function hiddenLine(result: ReplayResult, hidden: number, last: number): string {
  const limit = standingOut(result, last).toFixed(4);
  return result.objectives.length > 0
    ? `… and ${plural(hidden, "more domain", "more domains")}, whose weights change by no more than ${limit}.`
    : `… and ${plural(hidden, "more domain", "more domains")}, of weights up to ${limit}.`;
}
