/**
 * The table of domains that ends a run: what there is, how its shares differ between tokenizers, what was learned, and
 * what was chosen. Rows as data first, then as text.
 */
import type { RunResult } from "../pipeline/run.ts";
import { formatInteger, formatShare } from "./numbers.ts";
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
  /** share of the resampled set, by tokens */
  readonly achievedWeight?: number;
  readonly epochs?: number;
  /** nats per token on held-out documents; null where there are none */
  readonly referenceLoss?: number | null;
  readonly proxyLoss?: number | null;
}

export function summariseDomains({ count, reference, proxy, resample }: RunResult): DomainSummary[] {
  if (!count) return [];
  const tokenizers = count.tokenizers.map((tokenizer) => tokenizer.name);
  const totalDocuments = sum(count.domains.map((domain) => domain.documents));
  const totalTokens = new Map(
    tokenizers.map((name) => [name, sum(count.domains.map((domain) => domain.tokens[name] ?? 0))]),
  );
  return count.domains.map(({ name, documents, tokens }, index) => {
    const chosen = resample?.domains.find((domain) => domain.name === name);
    const weight = proxy?.weights[name] ?? chosen?.weight;
    return {
      name,
      documents,
      tokens,
      documentShare: ratio(documents, totalDocuments),
      tokenShare: Object.fromEntries(tokenizers.map((key) => [key, ratio(tokens[key] ?? 0, totalTokens.get(key)!)])),
      ...(weight !== undefined && { weight }),
      ...(chosen && { achievedWeight: chosen.achievedWeight, epochs: chosen.epochs }),
      ...(reference && { referenceLoss: reference.evaluation.loss[index] ?? null }),
      ...(proxy && { proxyLoss: proxy.evaluation.loss[index] ?? null }),
    };
  });
}

/** The same as an event of the JSON log. */
export function summaryEvent(result: RunResult): object {
  return { status: result.status, domains: summariseDomains(result), paths: result.paths };
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
  const learned = result.proxy !== undefined;
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
  if (domains.some((domain) => domain.weight !== undefined)) {
    columns.push({
      header: learned ? "learned\nweight" : "weight",
      cell: ({ weight }) => figure(weight, 4),
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
    `Tokens are those of ${main}${result.reference || result.proxy ? "; losses are in nats per token" : ""}.`,
  ];
  const { resample } = result;
  if (!resample) return lines;
  const documents = sum(resample.domains.map((domain) => domain.selectedDocuments));
  return [
    ...lines,
    `Resampled set: ${formatInteger(resample.achievedTokens)} tokens of a budget of ${formatInteger(resample.budgetTokens)}, in ${formatInteger(documents)} documents.`,
  ];
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
