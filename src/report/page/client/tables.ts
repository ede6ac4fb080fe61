/** The report's tables: every number that a chart shows, and what only numbers can show. */

import { integer, loss, percent, short } from "../../charts/text.ts";
import type { Estimate, ReportData, ReportStage } from "../../data/contract.ts";
import { el } from "./dom.ts";
import { type Column, makeTable, type ShownTable } from "./table.ts";

interface DomainRow {
  readonly k: number;
  readonly name: string;
}

const byName = (row: { readonly name: string }, filter: string) =>
  row.name.toLowerCase().includes(filter.toLowerCase());

function rowsOf({ domains }: ReportData): DomainRow[] {
  return domains.map((name, k) => ({ k, name }));
}

const nameColumn: Column<DomainRow> = { header: "domain", kind: "text", value: ({ name }) => name };

function column(
  header: string,
  values: readonly (number | null)[] | null | undefined,
  show: (value: number) => string,
): Column<DomainRow>[] {
  if (!values) return [];
  return [
    {
      header,
      value: ({ k }) => values[k] ?? null,
      show: ({ k }) => (values[k] === null || values[k] === undefined ? "–" : show(values[k]!)),
    },
  ];
}

/** @param drawn checked domains; toggled by a click */
export function domainTable(
  data: ReportData,
  drawn: ReadonlySet<number>,
  toggle: (k: number, on: boolean) => void,
): ShownTable {
  const { counts, weights, trainings } = data;
  const shareOf = (values: readonly number[]) => {
    const total = values.reduce((sum, value) => sum + value, 0);
    return total === 0 ? null : values.map((value) => value / total);
  };
  const set = weights?.set ?? null;
  const last = (kind: "reference" | "proxy") =>
    trainings.findLast((training) => training.kind === kind && training.evaluation)?.evaluation;
  const draw: Column<DomainRow> = {
    header: "draw",
    kind: "text",
    control: true,
    value: () => null,
    show: ({ k, name }) => {
      const box = el("input", { type: "checkbox", "aria-label": `draw ${name} as a line` });
      box.checked = drawn.has(k);
      box.addEventListener("change", () => toggle(k, box.checked));
      return box;
    },
  };
  return makeTable({
    label: "Domains",
    rows: rowsOf(data),
    matches: byName,
    columns: [
      ...(trainings.some(({ domains }) => domains) || data.lengths ? [draw] : []),
      nameColumn,
      ...column("baseline", weights?.baseline, percent),
      ...column("learned", weights?.learned, percent),
      ...column(
        "learned ÷ baseline",
        weights?.learned?.map((weight, k) => (weights.baseline[k]! > 0 ? weight / weights.baseline[k]! : null)),
        (value) => value.toFixed(3),
      ),
      ...column("achieved", set?.achieved, percent),
      ...column("documents in the set", set?.selectedDocuments, integer),
      ...column("epochs", set?.epochs, (value) => value.toFixed(2)),
      ...column("most epochs", set?.maxEpochs, String),
      ...column("held-out loss, reference", last("reference"), loss),
      ...column("held-out loss, proxy", last("proxy"), loss),
      ...column("documents", counts?.documents, integer),
      ...column("bytes", counts?.bytes, integer),
      ...(counts?.tokenizers ?? []).flatMap(({ name, tokens }) => column(`tokens (${name})`, tokens, integer)),
      ...column("share by documents", counts && shareOf(counts.documents), percent),
      ...(counts?.tokenizers ?? []).flatMap(({ name, tokens }) => column(`share (${name})`, shareOf(tokens), percent)),
    ],
  });
}

export function lengthTable(data: ReportData): ShownTable | null {
  const { lengths } = data;
  if (!lengths) return null;
  const of = (name: "documents" | "mean" | "min" | "p5" | "p25" | "p50" | "p75" | "p95" | "max") =>
    lengths.domains.map((domain) => domain?.[name] ?? null);
  return makeTable({
    label: `Document lengths in tokens (${lengths.tokenizer})`,
    rows: rowsOf(data),
    matches: byName,
    columns: [
      nameColumn,
      ...column("documents", of("documents"), integer),
      ...column("mean", of("mean"), (value) => value.toFixed(1)),
      ...column("shortest", of("min"), integer),
      ...column("5%", of("p5"), integer),
      ...column("25%", of("p25"), integer),
      ...column("median", of("p50"), integer),
      ...column("75%", of("p75"), integer),
      ...column("95%", of("p95"), integer),
      ...column("longest", of("max"), integer),
    ],
  });
}

/** Exact, of every step, whatever the lines show. */
export function extremesTable(data: ReportData): ShownTable | null {
  const rows = data.trainings.flatMap(({ stage, domains: series }) =>
    Object.entries(series ?? {}).flatMap(([name, own]) =>
      (own ?? []).map(({ extremes }, k) => ({ stage, series: name, name: data.domains[k]!, extremes })),
    ),
  );
  if (rows.length === 0) return null;
  type Row = (typeof rows)[number];
  const figure = (value: number | null) => (value === null ? "–" : String(value));
  const number = (header: string, of: (row: Row) => number | null): Column<Row> => ({
    header,
    value: of,
    show: (row) => figure(of(row)),
  });
  return makeTable<Row>({
    label: "Smallest, largest and last values of every step",
    rows,
    matches: byName,
    columns: [
      { header: "training", kind: "text", value: ({ stage }) => stage },
      { header: "series", kind: "text", value: ({ series }) => series },
      { header: "domain", kind: "text", value: ({ name }) => name },
      number("smallest", ({ extremes }) => extremes.min),
      number("at step", ({ extremes }) => extremes.minStep),
      number("largest", ({ extremes }) => extremes.max),
      number("at step ", ({ extremes }) => extremes.maxStep),
      number("last", ({ extremes }) => extremes.last),
    ],
  });
}

export function roundsTable(data: ReportData): ShownTable | null {
  const { rounds } = data;
  if (!rounds) return null;
  return makeTable({
    label: "Weights of rounds and seeds",
    rows: rowsOf(data),
    matches: byName,
    columns: [
      nameColumn,
      ...column("first reference", rounds.rounds[0]?.reference, percent),
      ...rounds.rounds.flatMap(({ round, mean, seeds }) => [
        ...column(`round ${round}`, mean, percent),
        ...(seeds.length > 1 ? seeds.flatMap(({ stage, weights }) => column(stage, weights, percent)) : []),
      ]),
    ],
  });
}

export function evaluationTable({ evaluation }: ReportData): ShownTable | null {
  if (!evaluation) return null;
  const rows = evaluation.domains.map((name, k) => ({ name, k }));
  type Row = (typeof rows)[number];
  const interval = (estimate: Estimate | null | undefined) =>
    !estimate
      ? "–"
      : estimate.low === null
        ? loss(estimate.mean)
        : `${loss(estimate.mean)} (${loss(estimate.low)} to ${loss(estimate.high!)})`;
  return makeTable<Row>({
    label: "Held-out losses of main models",
    rows,
    matches: byName,
    columns: [
      { header: "domain", kind: "text", value: ({ name }) => name },
      ...evaluation.mixtures.map(
        ({ name, loss: own }): Column<Row> => ({
          header: name,
          value: ({ k }) => own[k]?.mean ?? null,
          show: ({ k }) => interval(own[k]),
        }),
      ),
      ...evaluation.comparisons.flatMap(({ candidate, domains }): Column<Row>[] => {
        const of = ({ name }: Row) => domains.find((domain) => domain.name === name);
        return [
          {
            header: `${candidate}: difference`,
            value: (row) => of(row)?.mean ?? null,
            show: (row) => interval(of(row)),
          },
          { header: `${candidate}: verdict`, kind: "text", value: (row) => of(row)?.verdict ?? null },
        ];
      }),
    ],
  });
}

export function flowTable(data: ReportData): ShownTable | null {
  const { flow } = data;
  if (!flow) return null;
  return makeTable({
    label: "Flow of tokens",
    rows: rowsOf(data),
    matches: byName,
    columns: [
      nameColumn,
      ...column("shards", flow.shards, integer),
      ...column("used", flow.used, integer),
      ...column("read again", flow.repeated, integer),
      ...column("held out", flow.heldOut, integer),
      ...column("not used", flow.unused, integer),
    ],
  });
}

export function stageTable({ stages }: ReportData): ShownTable {
  const time = (text: string | null) => (text === null ? "–" : `${text.slice(0, 19).replace("T", " ")} UTC`);
  const seconds = ({ startedAt, endedAt }: ReportStage) =>
    startedAt && endedAt ? Math.round(Date.parse(endedAt) - Date.parse(startedAt)) / 1000 : null;
  return makeTable<ReportStage>({
    label: "Stages",
    rows: stages,
    columns: [
      { header: "stage", kind: "text", value: ({ stage }) => stage },
      { header: "state", kind: "text", value: ({ state }) => state },
      {
        header: "started",
        kind: "text",
        value: ({ startedAt }) => startedAt,
        show: ({ startedAt }) => time(startedAt),
      },
      { header: "seconds", value: seconds },
      { header: "files", value: ({ files }) => files },
      { header: "bytes", value: ({ bytes }) => bytes, show: ({ bytes }) => (bytes === null ? "–" : short(bytes)) },
      { header: "version", value: ({ version }) => version },
      { header: "key", kind: "code", value: ({ key }) => key },
    ],
  });
}

export function hashTable({ hashes }: ReportData): ShownTable | null {
  if (hashes.length === 0) return null;
  return makeTable<readonly [string, string]>({
    label: "Fingerprints",
    rows: hashes,
    columns: [
      { header: "what", kind: "text", value: ([name]) => name },
      { header: "SHA-256", kind: "code", value: ([, value]) => value },
    ],
  });
}
