/**
 * The runs that a law is fitted on, from one table (weights of the domains and losses side by side) or two (RegMix's and
 * Olmix's way: mixtures in one, losses in the other, joined by the run's number or name). Finds which column is whose and
 * refuses what no law should be fitted on.
 */

import type { CsvTable } from "../../lib/csv.ts";
import type { ErrorCode } from "../../lib/error-codes.ts";
import { DoremiError } from "../../lib/errors.ts";
import { columnFor, isLabel } from "./columns.ts";
import { leastSquares } from "./least-squares.ts";
import { pairRows, type RunTables } from "./pairs.ts";

/** What to minimise: the weight of each measured loss in the sum; null = the mean of all. */
export type Targets = Readonly<Record<string, number>> | null;

export interface MixtureRuns {
  readonly domains: readonly string[];
  /** of each run, in the order of the domains, Σ = 1 */
  readonly mixtures: readonly Float64Array[];
  /** Σ of the weights is 1 */
  readonly targets: readonly { readonly name: string; readonly weight: number; readonly losses: Float64Array }[];
  readonly notes: readonly string[];
}

export interface RunQuestion {
  /** the corpus's, in order; null = the columns' own names */
  readonly domains: readonly string[] | null;
  /** column of a domain, where names do not say it */
  readonly columns: Readonly<Record<string, string>>;
  readonly targets: Targets;
}

/** Rows are printed to a few places, so that their sums are near 1; farther off, a domain is missing. */
const SUM_TOLERANCE = 0.02;
/** Nearer than this, nothing has to be said. */
const EXACT_SUM = 1e-6;

/** @throws DoremiError bad-csv, bad-run, missing-column, ambiguous-column, unknown-domain, few-runs, confounded-domains */
export function readRuns(tables: RunTables, question: RunQuestion): MixtureRuns {
  const { mixtures: table } = tables;
  const columns = domainColumns(tables, question);
  const names = question.domains ?? columns;
  const raw = table.rows.map((_, row) => Float64Array.from(columns, (column) => numberAt(table, row, column)));
  const { mixtures, notes } = normaliseRows(raw, table, columns);
  const paired = pairRows(tables);
  const targets = targetsOf(tables, columns, question.targets).map(({ name, column, weight }) => ({
    name,
    weight,
    losses: Float64Array.from(paired.rows, (row) => numberAt(tables.losses, row, column)),
  }));
  checkRuns(mixtures, names, targets, table.file);
  return { domains: names, mixtures, targets, notes: [...paired.notes, ...notes] };
}

/** Columns of the mixtures, in the order of the domains. */
function domainColumns({ mixtures, losses }: RunTables, { domains, columns }: RunQuestion): readonly string[] {
  const candidates = mixtures === losses ? leadingShares(mixtures) : mixtures.header.filter((name) => !isLabel(name));
  if (domains === null) return candidates;
  const found = domains.map((domain) => columns[domain] ?? columnFor(domain, candidates, mixtures.file, "domain"));
  for (const [i, column] of found.entries()) {
    if (!mixtures.header.includes(column)) {
      throw new DoremiError(
        "bad-configuration",
        "missing-column",
        `${mixtures.file}: has no column “${column}”, which regression.columns names for “${domains[i]}”`,
        { file: mixtures.file },
      );
    }
    const other = found.indexOf(column);
    if (other === i) continue;
    throw new DoremiError(
      "bad-configuration",
      "ambiguous-column",
      `${mixtures.file}: column “${column}” fits the domains “${domains[other]}” and “${domains[i]}”; say which is whose in regression.columns`,
      { file: mixtures.file },
    );
  }
  const left = candidates.find(
    (column) => !found.includes(column) && mixtures.rows.some((_, row) => numberAt(mixtures, row, column) > 0),
  );
  if (left !== undefined) {
    throw new DoremiError(
      "bad-configuration",
      "unknown-domain",
      `${mixtures.file}: its runs were trained on “${left}” too, which is none of the corpus's domains (${domains.join(", ")}); ` +
        "name its domain in regression.columns, or take runs of these domains",
      { file: mixtures.file },
    );
  }
  return found;
}

/** In one table the domains stand before the losses: the columns from the first number on whose rows add up to 1. */
function leadingShares(table: CsvTable): string[] {
  const names = table.header.filter((name) => !isLabel(name));
  const sums = new Float64Array(table.rows.length);
  let end = 0;
  for (const [at, name] of names.entries()) {
    for (const row of table.rows.keys())
      sums[row]! += Number(table.rows[row]![table.header.indexOf(name)] || Number.NaN);
    if (sums.every((sum) => Math.abs(sum - sums[0]!) <= SUM_TOLERANCE * Math.abs(sums[0]!) && isWhole(sum)))
      end = at + 1;
  }
  if (end > 0) return names.slice(0, end);
  throw new DoremiError(
    "bad-data",
    "bad-run",
    `${table.file}: its first columns must be the weights of the domains, which add up to 1 in every row, and found none that do; ` +
      "put them first, or give mixtures and losses as two files",
    { file: table.file },
  );
}

/** As parts of 1, or in per cent. */
function isWhole(sum: number): boolean {
  return Math.abs(sum - 1) <= SUM_TOLERANCE || Math.abs(sum - 100) <= 100 * SUM_TOLERANCE;
}

function numberAt(table: CsvTable, row: number, column: string): number {
  const cell = table.rows[row]![table.header.indexOf(column)]!.trim();
  const value = cell === "" ? Number.NaN : Number(cell);
  if (Number.isFinite(value)) return value;
  const line = table.lines[row]!;
  throw new DoremiError(
    "bad-data",
    "bad-run",
    `${table.file}:${line}: “${column}” must be a number, found ${cell === "" ? "nothing" : `“${cell}”`}; leave out runs that failed`,
    { file: table.file, line },
  );
}

function normaliseRows(
  raw: readonly Float64Array[],
  { file, lines }: CsvTable,
  columns: readonly string[],
): { mixtures: Float64Array[]; notes: string[] } {
  const sums = raw.map((row, i) => {
    const negative = row.findIndex((weight) => weight < 0);
    const sum = row.reduce((total, weight) => total + weight, 0);
    const line = lines[i]!;
    const place = { file, line };
    if (negative >= 0) {
      const message = `${file}:${line}: “${columns[negative]}” must be a weight ≥ 0, found ${row[negative]}`;
      throw new DoremiError("bad-data", "bad-run", message, place);
    }
    if (isWhole(sum)) return sum;
    throw new DoremiError(
      "bad-data",
      "bad-run",
      `${file}:${line}: the weights of a run must add up to 1, found ${Number(sum.toPrecision(4))}; see that no domain's column is missing and no other is taken for one (${columns.join(", ")})`,
      place,
    );
  });
  const mixtures = raw.map((row, i) => row.map((weight) => weight / sums[i]!));
  const [least, most] = [Math.min(...sums), Math.max(...sums)];
  const isExact = most - 1 <= EXACT_SUM && 1 - least <= EXACT_SUM;
  const print = (sum: number) => Number(sum.toPrecision(6));
  return {
    mixtures,
    notes: isExact ? [] : [`${file}: rows add up to ${print(least)} … ${print(most)}; normalised to 1`],
  };
}

function targetsOf(
  { losses }: RunTables,
  domains: readonly string[],
  targets: Targets,
): { name: string; column: string; weight: number }[] {
  const candidates = losses.header.filter((name) => !isLabel(name) && !domains.includes(name));
  if (candidates.length === 0) {
    throw new DoremiError("bad-data", "missing-column", `${losses.file}: needs a column of losses, found none`, {
      file: losses.file,
    });
  }
  const wanted = targets ?? Object.fromEntries(candidates.map((name) => [name, 1]));
  const sum = Object.values(wanted).reduce((total, weight) => total + weight, 0);
  return Object.entries(wanted).map(([name, weight]) => ({
    name,
    column: columnFor(name, candidates, losses.file, "target"),
    weight: weight / sum,
  }));
}

/** What makes a fit meaningless whatever the law. */
function checkRuns(
  mixtures: readonly Float64Array[],
  domains: readonly string[],
  targets: MixtureRuns["targets"],
  file: string,
): void {
  const refuse = (code: ErrorCode, message: string) => {
    throw new DoremiError("bad-data", code, `${file}: ${message}`, { file });
  };
  const least = domains.length + 2;
  if (mixtures.length < least) {
    refuse(
      "few-runs",
      `${domains.length} domains need ${least} runs at least, and many more to be relied on; found ${mixtures.length}`,
    );
  }
  const unseen = domains.find((_, i) => mixtures.every((mixture) => mixture[i] === 0));
  if (unseen !== undefined) {
    refuse(
      "confounded-domains",
      `no run was trained on “${unseen}”, so nothing can be said of it; add runs with it, or leave the domain out`,
    );
  }
  const { dependent } = leastSquares(mixtures, new Float64Array(mixtures.length));
  if (dependent.length > 0) {
    refuse(
      "confounded-domains",
      `the runs do not tell “${domains[dependent[0]!]}” from the domains before it: its weight always follows from theirs; add runs that vary it by itself`,
    );
  }
  const flat = targets.find(({ losses }) => losses.every((loss) => loss === losses[0]));
  if (flat) refuse("bad-run", `“${flat.name}” is ${flat.losses[0]} in every run; choose a target that mixtures change`);
}
