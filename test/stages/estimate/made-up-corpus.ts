/**
 * A corpus whose totals are known, made to be hard to estimate: sizes of units are spread log-normally, tokens a byte
 * differ between domains, shards and units, and in its mixed form every unit holds all domains in other proportions.
 */
import { Rng } from "../../../src/lib/rng.ts";
import type { DiscoveredShard } from "../../../src/stages/discover/contract.ts";

export const DOMAINS = 4;
export const TOKENIZERS = 2;
/** shards, units of each shard, tokens a byte of each domain */
const SHAPES = [
  [40, 6, 0.25],
  [3, 150, 0.35],
  [60, 4, 0.18],
  [15, 20, 0.5],
] as const;

export interface MadeUpCorpus {
  readonly shards: readonly Pick<DiscoveredShard, "domain" | "split" | "layout">[];
  /** [shard][unit]: tokens of each domain by tokenizer, [K, T] */
  readonly tokens: readonly (readonly Float64Array[])[];
}

export function makeCorpus(mixed: boolean, seed = 7): MadeUpCorpus {
  const rng = new Rng(seed, "made-up corpus");
  let draw = 0;
  const spread = (sigma: number) => {
    const pair = new Float64Array(2);
    rng.normalPair(draw++, pair, 0);
    return Math.exp(sigma * pair[0]!);
  };
  const shards: MadeUpCorpus["shards"][number][] = [];
  const tokens: Float64Array[][] = [];
  for (const [domain, [shardCount, unitCount, tokensPerByte]] of SHAPES.entries()) {
    for (let s = 0; s < shardCount; s++) {
      const ofShard = tokensPerByte * spread(0.3);
      const units = Array.from({ length: unitCount }, (_, index) => {
        const storedBytes = Math.round(1e6 * spread(0.8));
        return { index, rows: 10, storedBytes, memoryBytes: 0, locator: null };
      });
      tokens.push(
        units.map(({ storedBytes }) => {
          const all = storedBytes * ofShard * spread(0.25);
          const parts = SHAPES.map((_, other) =>
            mixed ? [1, 0.5, 0.3, 0.1][other]! * (other === domain ? 3 : 1) * spread(0.8) : other === domain ? 1 : 0,
          );
          const whole = parts.reduce((sum, part) => sum + part, 0);
          return Float64Array.from(
            parts.flatMap((part, other) => {
              const first = (all * part) / whole;
              return [first, first * (1 + 0.1 * other) * spread(0.05)];
            }),
          );
        }),
      );
      shards.push({
        domain: mixed ? null : `domain ${domain}`,
        split: "train",
        layout: { format: "parquet", size: 0, rows: null, units },
      });
    }
  }
  return { shards, tokens };
}
