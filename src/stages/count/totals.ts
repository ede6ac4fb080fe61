/** Sums of row counts: per shard and domain, then over the corpus. Pure. */
import { DoremiError } from "../../lib/errors.ts";
import type { CountedShard, CountInput, CountOutput, CountTotals } from "./contract.ts";
import type { UnitCounts } from "./worker.ts";

const noTotals = (tokenizers: readonly string[]): CountTotals => ({
  documents: 0,
  bytes: 0,
  tokens: Object.fromEntries(tokenizers.map((name) => [name, 0])),
});

/** @param listed domains that count; null = all */
export function shardTotals(
  units: readonly Pick<UnitCounts, "domain" | "bytes" | "tokens">[],
  domainNames: readonly string[],
  tokenizers: readonly string[],
  listed: readonly string[] | null,
): Record<string, CountTotals> {
  const documents = new Float64Array(domainNames.length);
  const bytes = new Float64Array(domainNames.length);
  const tokens = tokenizers.map(() => new Float64Array(domainNames.length));
  for (const unit of units) {
    for (let row = 0; row < unit.domain.length; row++) {
      const domain = unit.domain[row]!;
      if (domain < 0) continue;
      documents[domain]!++;
      bytes[domain]! += unit.bytes[row]!;
      for (let t = 0; t < tokens.length; t++) tokens[t]![domain]! += unit.tokens[t]![row]!;
    }
  }
  const result: Record<string, CountTotals> = {};
  for (const [index, name] of domainNames.entries()) {
    if (listed && !listed.includes(name)) continue;
    result[name] = {
      documents: documents[index]!,
      bytes: bytes[index]!,
      tokens: Object.fromEntries(tokenizers.map((tokenizer, t) => [tokenizer, tokens[t]![index]!])),
    };
  }
  return result;
}

/** Totals of every domain, in the order of the pipeline file or of the names. */
export function domainTotals(
  shards: readonly CountedShard[],
  input: Pick<CountInput, "domains" | "tokenizers">,
  skipped: CountOutput["skipped"],
): Pick<CountOutput, "domains" | "notes"> {
  const tokenizers = input.tokenizers.map((tokenizer) => tokenizer.name);
  const names =
    input.domains ??
    [...new Set(shards.filter((shard) => shard.split === "train").flatMap((shard) => Object.keys(shard.totals)))].sort(
      (a, b) => (a < b ? -1 : a > b ? 1 : 0),
    );
  const domains = names.map((name) => ({ name, ...noTotals(tokenizers), heldOut: noTotals(tokenizers) }));
  const byName = new Map(domains.map((domain) => [domain.name, domain]));
  let droppedRows = 0;
  for (const shard of shards) {
    droppedRows += shard.droppedRows;
    for (const [name, totals] of Object.entries(shard.totals)) {
      const domain = byName.get(name);
      if (!domain) continue;
      const into = shard.split === "train" ? domain : domain.heldOut;
      into.documents += totals.documents;
      into.bytes += totals.bytes;
      for (const tokenizer of tokenizers) into.tokens[tokenizer]! += totals.tokens[tokenizer] ?? 0;
    }
  }
  if (domains.length === 0) {
    throw new DoremiError(
      "bad-data",
      "no-documents",
      "no row of any shard is a document with a domain; check data.textColumn, data.domainColumn and the transform",
    );
  }
  for (const domain of domains) {
    if (domain.documents === 0) {
      throw new DoremiError(
        "bad-data",
        "empty-domain",
        `domain “${domain.name}”: needs at least one document, found none${skipped.length > 0 ? ` (${skipped.length} shards were left out)` : ""}; take it out of data.domains or check its files`,
      );
    }
  }
  const notes =
    droppedRows > 0
      ? [`${droppedRows} rows are not documents (no text, dropped by the transform, or of an unlisted domain)`]
      : [];
  return { domains, notes };
}
