/** The page of bench:manifest: goals, figures, and what a person wrote below them, which is kept. Pure. */
import { type Goal, goalsTable, spread, table } from "../markdown.ts";
import { median, megabytes } from "../statistics.ts";
import type { Options, Part } from "./options.ts";
import type { Figures } from "./program.ts";

export interface PartRun extends Figures {
  readonly part: Part;
  readonly round: number;
  /** of the whole process, at its highest; null where the system does not tell */
  readonly peakBytes: number | null;
  /** share of the processors that other programs had meanwhile, 0..1 */
  readonly otherShare: number | null;
}

export interface About {
  readonly date: string;
  readonly machine: string;
  readonly doremi: string;
  readonly options: Omit<Options, "out">;
  readonly tokens: number;
}

/** What 100 million documents may take; no other size has goals. */
const GOALS = { documents: 100_000_000, document: { seconds: 120, bytes: 1e9 }, "row-group": { seconds: 5 } } as const;

export function goalsOf({ options }: About, runs: readonly PartRun[]): Goal[] {
  if (options.documents !== GOALS.documents) return [];
  const of = (part: Part) => runs.filter((run) => run.part === part);
  const goals: Goal[] = [];
  for (const part of ["document", "row-group"] as const) {
    if (of(part).length === 0) continue;
    const seconds = median(of(part).map((run) => run.seconds));
    const most = GOALS[part].seconds;
    goals.push({ what: `${part}, time`, goal: `< ${most} s`, found: `${seconds.toFixed(1)} s`, met: seconds < most });
  }
  const peaks = of("document").flatMap(({ peakBytes }) => peakBytes ?? []);
  if (peaks.length > 0) {
    const most = Math.max(...peaks);
    const { bytes } = GOALS.document;
    goals.push({ what: "document, memory", goal: `< ${megabytes(bytes)}`, found: megabytes(most), met: most < bytes });
  }
  return goals;
}

export function reportOf(about: About, runs: readonly PartRun[]): string {
  const { date, machine, doremi, tokens } = about;
  const { shards, documents, domains, mixed, budgetPercent, parts, runs: rounds } = about.options;
  const count = (value: number) => value.toLocaleString("en-US");
  const rows = parts.map((part) => {
    const of = runs.filter((run) => run.part === part);
    const peaks = of.flatMap(({ peakBytes }) => peakBytes ?? []);
    const others = of.flatMap(({ otherShare }) => otherShare ?? []);
    const { rows, documents, selectionBytes, manifestBytes } = of[0]!;
    return [
      part,
      spread(
        of.map((run) => run.seconds),
        1,
      ),
      spread(
        of.map((run) => run.cpuSeconds),
        1,
      ),
      peaks.length === 0 ? "" : megabytes(Math.max(...peaks)),
      count(rows),
      count(documents),
      megabytes(selectionBytes),
      `${(manifestBytes / 1e6).toFixed(1)} MB`,
      others.length === 0 ? "" : `${(100 * Math.max(...others)).toFixed(0)} %`,
    ];
  });
  const goals = goalsOf(about, runs);
  return [
    "# Resampling a large corpus",
    "",
    `${date}; ${machine}; doremi ${doremi}.`,
    "",
    `Made by \`npm run bench:manifest\` in ${rounds === 1 ? "one round" : `${rounds} rounds`}: counts of ${count(documents)} made-up documents, ${(tokens / 1e9).toFixed(1)} thousand million tokens, in ${count(shards)} shards of ten row groups, ${domains} domains${mixed ? " mixed in every shard" : ", each shard of one"}, ${budgetPercent} % of the tokens chosen with equal weights. A part runs in a process of its own; a cell is the median of its runs, with the lowest and the highest behind it. “Processors” is user and system time of all threads; memory the most that the process had resident (MB is a million bytes); “others” the largest share of the processors that other programs had meanwhile.`,
    "",
    ...(goals.length > 0 ? ["## Goals", "", ...goalsTable(goals), ""] : []),
    "## Figures",
    "",
    ...table(
      ["part", "s", "processors, s", "memory", "rows", "documents", "selection.parquet", "manifest.json", "others"],
      rows,
    ),
    "",
  ].join("\n");
}
