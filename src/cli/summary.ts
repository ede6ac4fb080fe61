/**
 * The table of domains that ends a run: what there is, how its shares differ between tokenizers, what was learned, and
 * what was chosen. Rows as data first, then as text.
 */

import { unitText } from "../manifest/units.ts";
import { instanceName } from "../pipeline/replicates.ts";
import type { RunResult } from "../pipeline/run.ts";
import { formatInteger, formatShare } from "./numbers.ts";
import { describeWarning } from "./progress/lines.ts";
import { selectionText } from "./selection-text.ts";
import { type Column, formatTable } from "./table.ts";

/** What is known of one domain; what a run did not get to is absent. */
export interface DomainSummary {
  readonly name: string;
  readonly documents: number;
  /** by tokenizer; the first is the one that weights are counted in */
  readonly tokens: Readonly<Record<string, number>>;
  readonly documentShare: number;
  readonly tokenShare: Readonly<Record<string, number>>;
  readonly weight?: number;
  /** standard deviation of the weight that a single seed learned; null of one seed */
  readonly weightDeviation?: number | null;
  /** learned weight of each round; absent where there is one */
  readonly roundWeights?: readonly number[];
  /** share of the resampled set, by tokens */
  readonly achievedWeight?: number;
  readonly epochs?: number;
  /** what decided how much it gives, where the weight did not: its epoch cap, or its least share */
  readonly bound?: "epochs" | "least share" | null;
  /** nats per token on held-out documents, mean over the seeds of the last round; null where there are none */
  readonly referenceLoss?: number | null;
  readonly proxyLoss?: number | null;
}

export function summariseDomains({ count, weights, mixture, trainings, resample }: RunResult): DomainSummary[] {
  if (!count) return [];
  const rounds = mixture?.rounds ?? [];
  const spread = rounds.at(-1)?.spread;
  const last = trainings.filter(({ round }) => round === trainings.at(-1)?.round);
  const references = last.flatMap(({ reference }) => (reference ? [reference.evaluation.loss] : []));
  const proxies = last.flatMap(({ proxy }) => (proxy ? [proxy.evaluation.loss] : []));
  const tokenizers = count.tokenizers.map((tokenizer) => tokenizer.name);
  const totalDocuments = sum(count.domains.map((domain) => domain.documents));
  const totalTokens = new Map(
    tokenizers.map((name) => [name, sum(count.domains.map((domain) => domain.tokens[name] ?? 0))]),
  );
  return count.domains.map(({ name, documents, tokens }, index) => {
    const chosen = resample?.domains.find((domain) => domain.name === name);
    const weight = weights?.[name] ?? chosen?.weight;
    return {
      name,
      documents,
      tokens,
      documentShare: ratio(documents, totalDocuments),
      tokenShare: Object.fromEntries(tokenizers.map((key) => [key, ratio(tokens[key] ?? 0, totalTokens.get(key)!)])),
      ...(weight !== undefined && { weight }),
      ...(mixture && { weightDeviation: spread?.deviation[name] ?? null }),
      ...(rounds.length > 1 && { roundWeights: rounds.map((round) => round.weights[name]!) }),
      ...(chosen && { achievedWeight: chosen.achievedWeight, epochs: chosen.epochs, bound: boundOf(chosen) }),
      ...(references.length > 0 && { referenceLoss: meanLoss(references, index) }),
      ...(proxies.length > 0 && { proxyLoss: meanLoss(proxies, index) }),
    };
  });
}

function boundOf({ capped, floored }: { readonly capped: boolean; readonly floored: boolean }) {
  return capped ? "epochs" : floored ? "least share" : null;
}

/** Over seeds, which have the same held-out documents; null where there are none. */
function meanLoss(losses: readonly (readonly (number | null)[])[], domain: number): number | null {
  const measured = losses.flatMap((loss) => loss[domain] ?? []);
  return measured.length === 0 ? null : sum(measured) / measured.length;
}

/** The same as an event of the JSON log. */
export function summaryEvent(result: RunResult): object {
  const { status, paths } = result;
  return { status, domains: summariseDomains(result), warnings: warningsOf(result), paths };
}

/** A difference between weight and achieved weight that whole documents do not explain. */
const MOVED = 0.005;

interface SummaryColumn extends Column {
  cell(domain: DomainSummary): string;
  total: string;
}

export function summaryLines(result: RunResult): string[] {
  const domains = summariseDomains(result);
  if (domains.length === 0) return [];
  const [main = "", ...others] = result.count?.tokenizers.map((tokenizer) => tokenizer.name) ?? [];
  const total = (pick: (domain: DomainSummary) => number) => formatInteger(sum(domains.map(pick)));
  const learned = result.weights !== undefined;
  const rounds = domains[0]!.roundWeights?.length ?? 0;
  const columns: SummaryColumn[] = [
    { header: "domain", align: "left", cell: (domain) => domain.name, total: "total" },
    {
      header: "documents",
      cell: (domain) => formatInteger(domain.documents),
      total: total((domain) => domain.documents),
    },
    {
      header: "tokens",
      cell: (domain) => formatInteger(domain.tokens[main] ?? 0),
      total: total((domain) => domain.tokens[main] ?? 0),
    },
    { header: "share by\ndocuments", cell: (domain) => formatShare(domain.documentShare), total: "" },
    { header: "share by\ntokens", cell: (domain) => formatShare(domain.tokenShare[main] ?? 0), total: "" },
    ...others.map((name) => ({
      header: `share by\n${name}`,
      cell: (domain: DomainSummary) => formatShare(domain.tokenShare[name] ?? 0),
      total: "",
    })),
  ];
  // The last round's weights are those of the next column.
  for (let round = 1; round < rounds; round++) {
    columns.push({
      header: `weight of\nround ${round}`,
      cell: ({ roundWeights }) => figure(roundWeights![round - 1], 4),
      total: "",
    });
  }
  if (domains.some((domain) => domain.weight !== undefined)) {
    const of = rounds > 1 ? `learned\nin round ${rounds}` : "learned\nweight";
    const seeds = domains.some(({ weightDeviation }) => typeof weightDeviation === "number");
    columns.push({
      header: learned ? of : "weight",
      cell: ({ weight, weightDeviation }) =>
        seeds ? `${figure(weight, 4)} ± ${figure(weightDeviation, 4)}` : figure(weight, 4),
      total: "",
    });
  }
  // Caps on epochs move tokens between domains; without them the two columns would say the same.
  if (domains.some(({ weight, achievedWeight = weight }) => Math.abs((achievedWeight ?? 0) - (weight ?? 0)) > MOVED)) {
    columns.push({
      header: "share of\nnew set",
      cell: ({ achievedWeight }) => (achievedWeight === undefined ? "–" : formatShare(achievedWeight)),
      total: "",
    });
  }
  if (domains.some((domain) => domain.epochs !== undefined)) {
    columns.push({ header: "epochs", cell: ({ epochs }) => figure(epochs, 2), total: "" });
  }
  if (domains.some(({ bound }) => bound)) {
    columns.push({ header: "bound by", align: "left", cell: ({ bound }) => bound ?? "", total: "" });
  }
  if (domains.some((domain) => domain.referenceLoss !== undefined)) {
    columns.push({
      header: "held-out\nloss of\nreference",
      cell: ({ referenceLoss }) => figure(referenceLoss, 3),
      total: "",
    });
  }
  if (domains.some((domain) => domain.proxyLoss !== undefined)) {
    columns.push({ header: "held-out\nloss of\nproxy", cell: ({ proxyLoss }) => figure(proxyLoss, 3), total: "" });
  }
  const rows = domains.map((domain) => columns.map((column) => column.cell(domain)));
  const table = formatTable(columns, rows, [columns.map((column) => column.total)]);
  const lines = [
    ...table,
    "",
    ...warningLines(result),
    `Tokens are those of ${main}${result.trainings.length > 0 ? "; losses are in nats per token" : ""}.`,
    ...(result.mixture?.notes ?? []).map(sentence),
  ];
  const { resample } = result;
  if (!resample) return lines;
  const documents = sum(resample.domains.map((domain) => domain.selectedDocuments));
  return [
    ...lines,
    `Resampled set: ${formatInteger(resample.achievedTokens)} tokens of a budget of ${formatInteger(resample.budgetTokens)}, in ${formatInteger(documents)} documents.`,
    `Weights by ${unitText(resample.unit)}; ${selectionText(resample.selectionSettings)}.`,
    ...resample.notes.map(sentence),
  ];
}

/** What goes wrong in a training is said while it goes on, and once more here, where somebody looks. */
function warningLines(result: RunResult): string[] {
  return warningsOf(result).map(({ stage, ...warning }) => `! ${stage}: ${describeWarning(warning)}`);
}

function warningsOf({ trainings }: RunResult) {
  return trainings.flatMap((training) =>
    (["reference", "proxy"] as const).flatMap((stage) =>
      (training[stage]?.warnings ?? []).map((warning) => ({ stage: instanceName(stage, training), ...warning })),
    ),
  );
}

/** A note as a line of its own. */
function sentence(note: string): string {
  return `${note[0]!.toUpperCase()}${note.slice(1)}.`;
}

function figure(value: number | null | undefined, decimals: number): string {
  return value === null || value === undefined ? "–" : value.toFixed(decimals);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
