/** A sampled count for a person and for a script: every figure with its interval. */
import type { EstimateOutput, Interval } from "../stages/estimate/contract.ts";
import { formatBytes, formatInteger, formatPoints, formatShare } from "./numbers.ts";
import { type Column, formatTable, printable } from "./table.ts";

export function estimateLines({ domains, tokenizers, sample, skipped }: EstimateOutput): string[] {
  const names = tokenizers.map((tokenizer) => tokenizer.name);
  const [first] = names;
  const columns: Column[] = [
    { header: "domain", align: "left" },
    ...names.flatMap((name) => [
      { header: `tokens\n${name}` },
      { header: "95 % interval" },
      { header: "share" },
      { header: "95 % interval" },
      ...(name === first ? [] : [{ header: `points\nfrom ${first}` }, { header: "95 % interval" }]),
    ]),
  ];
  const rows = domains.map(({ name, tokens, share, difference }) => [
    name,
    ...names.flatMap((tokenizer) => [
      ...cells(tokens[tokenizer], formatInteger),
      ...cells(share[tokenizer], formatShare),
      ...(tokenizer === first ? [] : cells(difference[tokenizer], formatPoints)),
    ]),
  ]);
  const { units, storedBytes } = sample;
  return [
    ...formatTable(columns, rows),
    `Estimated from ${formatInteger(units.read)} of ${formatInteger(units.of)} row groups (${formatBytes(storedBytes.read)} of ${formatBytes(storedBytes.of)}), drawn at random; without --sample the counts are exact.`,
    ...skipped.map((shard) => `left out ${printable(shard.path)}: ${printable(shard.reason)}`),
  ];
}

function cells(interval: Interval | undefined, format: (value: number) => string): [string, string] {
  return interval === undefined
    ? ["–", ""]
    : [`~ ${format(interval.estimate)}`, `${format(interval.low)} … ${format(interval.high)}`];
}

/** The result line, without `command`. It has no `domains`: a script that wants counts does not find them. */
export function estimateLine({ sample, confidence, domains, skipped }: EstimateOutput): object {
  return {
    sample,
    confidence,
    estimates: Object.fromEntries(domains.map(({ name, ...figures }) => [name, figures])),
    skipped,
  };
}
