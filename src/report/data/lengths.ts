/** How long the documents of each domain are, from the row counts that counting left. */
import type { DomainRule } from "../../manifest/domain-rule.ts";
import type { CountOutput } from "../../stages/count/contract.ts";
import { RowCountsReader, readCountedShards } from "../../stages/count/counted-shards.ts";
import type { LengthQuantiles, ReportLengths } from "./contract.ts";

/** Of a larger corpus every n-th shard is looked at. */
const ROWS_LIMIT = 20_000_000;
/** Up to 2^32 tokens. */
const BINS = 33;
/** Parts of a power of two in which lengths are told apart for quantiles; below 64 tokens each length is one. */
const PARTS = 64;
const EXACT_BELOW = 64;

/**
 * @param folder of the count stage
 * @returns undefined where the rule does not tell the domains of the rows as counting did
 * @throws DoremiError corrupt-counts
 */
export async function readLengths(
  folder: string,
  count: CountOutput,
  rule: DomainRule,
): Promise<ReportLengths | undefined> {
  const domains = count.domains.map(({ name }) => name);
  const tokenizer = count.tokenizers[0]!.name;
  const shards = (await readCountedShards(folder, count.shards)).filter(({ split }) => split === "train");
  const rows = shards.reduce((sum, shard) => sum + shard.rows, 0);
  const every = Math.max(1, Math.ceil(rows / ROWS_LIMIT));
  const read = shards.filter((_, i) => i % every === 0);
  const reader = new RowCountsReader(folder, tokenizer, rule, domains);
  const tallies = domains.map(() => new LengthTally());
  for (const shard of read) {
    const { domain, tokens } = await reader.read(shard);
    for (let row = 0; row < domain.length; row++) tallies[domain[row]!]?.add(tokens[row]!);
  }
  const found = tallies.reduce((sum, tally) => sum + tally.documents, 0);
  const expected = count.domains.reduce((sum, { documents }) => sum + documents, 0);
  if (every === 1 && found !== expected) return undefined;
  const bins = Math.max(1, ...tallies.map((tally) => tally.bins));
  return {
    tokenizer,
    domains: tallies.map((tally) => tally.quantiles()),
    histogram: tallies.map((tally) => tally.histogram(bins)),
    shards: { read: read.length, all: shards.length },
  };
}

/** Counts documents by length, in classes that are 1.1 % wide or narrower. */
export class LengthTally {
  documents = 0;
  #tokens = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  readonly #classes = new Map<number, number>();

  add(tokens: number): void {
    this.documents++;
    this.#tokens += tokens;
    this.#min = Math.min(this.#min, tokens);
    this.#max = Math.max(this.#max, tokens);
    const key = tokens < EXACT_BELOW ? tokens : EXACT_BELOW + Math.floor(Math.log2(tokens / EXACT_BELOW) * PARTS);
    this.#classes.set(key, (this.#classes.get(key) ?? 0) + 1);
  }

  /** that are needed */
  get bins(): number {
    return binOf(this.#max) + 1;
  }

  histogram(bins: number): number[] {
    const histogram = new Array<number>(Math.min(bins, BINS)).fill(0);
    for (const [key, documents] of this.#classes) histogram[binOf(lengthOf(key))]! += documents;
    return histogram;
  }

  quantiles(): LengthQuantiles | null {
    if (this.documents === 0) return null;
    const classes = [...this.#classes].sort(([a], [b]) => a - b);
    const at = (share: number) => {
      const rank = share * (this.documents - 1);
      let before = 0;
      for (const [key, documents] of classes) {
        before += documents;
        if (before > rank) return Math.min(this.#max, Math.max(this.#min, Math.round(lengthOf(key))));
      }
      return this.#max;
    };
    const [p5, p25, p50, p75, p95] = [at(0.05), at(0.25), at(0.5), at(0.75), at(0.95)];
    const mean = this.#tokens / this.documents;
    return { documents: this.documents, mean, min: this.#min, p5, p25, p50, p75, p95, max: this.#max };
  }
}

/** The middle of a class, by ratio. */
function lengthOf(key: number): number {
  return key < EXACT_BELOW ? key : EXACT_BELOW * 2 ** ((key - EXACT_BELOW + 0.5) / PARTS);
}

function binOf(tokens: number): number {
  return tokens < 2 ? 0 : Math.min(BINS - 1, Math.floor(Math.log2(tokens)));
}
