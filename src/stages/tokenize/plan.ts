/**
 * Which documents the small models read: whole units in a seeded order until every domain has what training draws
 * from it, so that of a large corpus only a small part is opened. Held-out documents met on the way feed evaluation.
 */
import { Rng } from "../../lib/rng.ts";
import { heldOutMask } from "../../manifest/held-out.ts";
import type { CountedShard } from "../count/contract.ts";
import type { ShardRowCounts } from "../count/counted-shards.ts";
import type { TokenizeInput } from "./contract.ts";

export type Split = "reference" | "proxy" | "held-out";

/** Chosen rows of one unit; a unit may stand here twice, once for training and once for evaluation. */
export interface UnitPlan {
  readonly shard: number;
  /** index into the shard's units */
  readonly unit: number;
  /** rows within the unit, ascending */
  readonly rows: Uint32Array;
  readonly domain: Int32Array;
  readonly heldOut: Uint8Array;
  /** tokens of each, without the end-of-text token */
  readonly tokens: Uint32Array;
}

export interface TokenizePlan {
  readonly units: readonly UnitPlan[];
  /** by domain: tokens chosen for training, end-of-text tokens included where the tokenizer has one */
  readonly trainTokens: readonly number[];
  readonly heldOutTokens: readonly number[];
  /** by domain: are there enough for disjoint reference and proxy sequences? */
  readonly disjoint: readonly boolean[];
}

/** Row counts of the shard of this index, with domains as indices into the input's. */
export type CountsOf = (shard: number) => Promise<ShardRowCounts>;

type Shards = readonly Pick<CountedShard, "split" | "units" | "unitRows" | "totals">[];

/** Ids that a document takes in its store: its own, and the end-of-text token where the tokenizer has one. */
export function storedTokens({ tokenizer }: Pick<TokenizeInput, "tokenizer">, tokens: number): number {
  return tokenizer.endOfText === null ? tokens : tokens + 1;
}

/**
 * By domain, tokens that each store has to hold: what training draws from it, and at least one sequence with its
 * target, also where a small weight comes to less. 0 where training draws nothing.
 */
function storeNeeds({ referenceTokens, proxyTokens, sequenceLength }: TokenizeInput) {
  const atLeastOne = (drawn: number) => (drawn > 0 ? Math.max(drawn, sequenceLength + 1) : 0);
  return referenceTokens.map((drawn, d) => ({ reference: atLeastOne(drawn), proxy: atLeastOne(proxyTokens[d]!) }));
}

/** One way through the units, in a seeded order, and what of them it takes. */
interface Walk {
  readonly seed: number;
  readonly training: boolean;
  readonly evaluation: boolean;
}

/**
 * Models of different seeds are compared on the same held-out sequences, so those are looked for in the order of their
 * own seed; where that is also the training's, one walk finds both.
 */
function walksOf({ seed, heldOutSeed }: TokenizeInput): Walk[] {
  if (seed === heldOutSeed) return [{ seed, training: true, evaluation: true }];
  return [
    { seed, training: true, evaluation: false },
    { seed: heldOutSeed, training: false, evaluation: true },
  ];
}

export async function planTokenize(input: TokenizeInput, shards: Shards, countsOf: CountsOf): Promise<TokenizePlan> {
  const K = input.domains.length;
  const domainIndex = new Map(input.domains.map((name, index) => [name, index]));
  const firstOrdinal = ordinalsBefore(input, shards, domainIndex);
  const heldOut = heldOutMasks(input, shards);
  const trainTokens = new Array<number>(K).fill(0);
  const heldOutTokens = new Array<number>(K).fill(0);
  const needs = storeNeeds(input);
  const longest = new Array<number>(K).fill(0);
  /** Whole documents overshoot: with the longest one to spare, both stores come to what they need however it falls. */
  const wanted = (d: number) => {
    const { reference, proxy } = needs[d]!;
    return reference + proxy + (reference > 0 && proxy > 0 ? longest[d]! : 0);
  };
  const available = availableDocuments(input, shards, heldOut);
  const taken = { train: new Array<number>(K).fill(0), heldOut: new Array<number>(K).fill(0) };
  const satisfied = ({ training, evaluation }: Walk) =>
    input.domains.every(
      (_, d) =>
        (!training || trainTokens[d]! >= wanted(d) || taken.train[d]! >= available.train[d]!) &&
        (!evaluation || heldOutTokens[d]! >= input.evaluationTokens || taken.heldOut[d]! >= available.heldOut[d]!),
    );

  const all = shards.flatMap((shard, index) => shard.units.map((_, unit) => ({ shard: index, unit })));
  const units: UnitPlan[] = [];
  for (const walk of walksOf(input)) {
    const order = new Rng(walk.seed, "tokenize/units").permutation(all.length);
    for (let i = 0; i < all.length && !satisfied(walk); i++) {
      const { shard, unit } = all[order.at(i)]!;
      const counts = await countsOf(shard);
      const { unitRows, split } = shards[shard]!;
      const start = unitRows.slice(0, unit).reduce((sum, rows) => sum + rows, 0);
      const end = start + unitRows[unit]!;
      const ordinal = [...firstOrdinal(shard)];
      for (let row = 0; row < start; row++) {
        const domain = counts.domain[row]!;
        if (domain >= 0) ordinal[domain]!++;
      }
      const chosen: { row: number; domain: number; heldOut: number; tokens: number }[] = [];
      for (let row = start; row < end; row++) {
        const domain = counts.domain[row]!;
        if (domain < 0) continue;
        const out = split === "held-out" || heldOut[domain]![ordinal[domain]!++] === 1;
        if (out ? !walk.evaluation : !walk.training) continue;
        const tokens = counts.tokens[row]!;
        if (out) {
          taken.heldOut[domain]!++;
          if (heldOutTokens[domain]! >= input.evaluationTokens) continue;
          heldOutTokens[domain]! += storedTokens(input, tokens);
        } else {
          taken.train[domain]!++;
          if (trainTokens[domain]! >= wanted(domain)) continue;
          trainTokens[domain]! += storedTokens(input, tokens);
          longest[domain] = Math.max(longest[domain]!, storedTokens(input, tokens));
        }
        chosen.push({ row: row - start, domain, heldOut: out ? 1 : 0, tokens });
      }
      if (chosen.length === 0) continue;
      units.push({
        shard,
        unit,
        rows: Uint32Array.from(chosen, (document) => document.row),
        domain: Int32Array.from(chosen, (document) => document.domain),
        heldOut: Uint8Array.from(chosen, (document) => document.heldOut),
        tokens: Uint32Array.from(chosen, (document) => document.tokens),
      });
    }
  }
  const disjoint = needs.map(
    ({ reference, proxy }, d) => reference > 0 && proxy > 0 && trainTokens[d]! >= reference + proxy,
  );
  return { units, trainTokens, heldOutTokens, disjoint };
}

/**
 * Which store each chosen document goes to, unit by unit. Where a domain has enough for both, a seeded shuffle fills
 * the reference's store first and the rest is the proxy's; otherwise both read all of it (“reference”).
 */
export function assignSplits(input: TokenizeInput, plan: TokenizePlan): { splits: Split[][]; disjoint: boolean[] } {
  const splits: Split[][] = plan.units.map((unit) =>
    Array.from(unit.rows, (_, i) => (unit.heldOut[i] ? "held-out" : "reference")),
  );
  const needs = storeNeeds(input);
  const disjoint = [...plan.disjoint];
  for (let d = 0; d < input.domains.length; d++) {
    if (!disjoint[d]) continue;
    const documents = plan.units.flatMap((unit, u) =>
      [...unit.rows.keys()].filter((i) => unit.domain[i] === d && !unit.heldOut[i]).map((i) => ({ u, i })),
    );
    const order = new Rng(input.seed, `tokenize/split/${input.domains[d]}`).permutation(documents.length);
    const need = needs[d]!;
    let referenceTokens = 0;
    let proxyTokens = 0;
    const proxy: { u: number; i: number }[] = [];
    for (let n = 0; n < documents.length; n++) {
      const { u, i } = documents[order.at(n)]!;
      const tokens = storedTokens(input, plan.units[u]!.tokens[i]!);
      // Each document goes to the store that is further from its need, so a few long documents cannot starve one.
      if (referenceTokens / need.reference <= proxyTokens / need.proxy) referenceTokens += tokens;
      else {
        proxyTokens += tokens;
        proxy.push({ u, i });
      }
    }
    if (Math.min(referenceTokens, proxyTokens) <= input.sequenceLength) disjoint[d] = false;
    else for (const { u, i } of proxy) splits[u]![i] = "proxy";
  }
  return { splits, disjoint };
}

/** By domain: documents in the training shards before a shard. */
function ordinalsBefore(
  { domains }: TokenizeInput,
  shards: Shards,
  domainIndex: ReadonlyMap<string, number>,
): (shard: number) => Float64Array {
  const K = domains.length;
  const before = new Float64Array(shards.length * K); // [shard, K]
  const running = new Float64Array(K);
  for (const [index, { split, totals }] of shards.entries()) {
    before.set(running, index * K);
    if (split !== "train") continue;
    for (const [name, { documents }] of Object.entries(totals)) {
      const domain = domainIndex.get(name);
      if (domain !== undefined) running[domain]! += documents;
    }
  }
  return (shard) => before.subarray(shard * K, (shard + 1) * K);
}

function documentsOf({ domains }: TokenizeInput, shards: Shards, split: "train" | "held-out"): number[] {
  const documents = new Map<string, number>();
  for (const shard of shards) {
    if (shard.split !== split) continue;
    for (const [name, totals] of Object.entries(shard.totals))
      documents.set(name, (documents.get(name) ?? 0) + totals.documents);
  }
  return domains.map((name) => documents.get(name) ?? 0);
}

function heldOutMasks(input: TokenizeInput, shards: Shards): Uint8Array[] {
  const documents = documentsOf(input, shards, "train");
  return input.domains.map((name, d) => heldOutMask(input.heldOut, input.heldOutSeed, name, documents[d]!));
}

function availableDocuments(input: TokenizeInput, shards: Shards, masks: readonly Uint8Array[]) {
  const train = documentsOf(input, shards, "train");
  const files = documentsOf(input, shards, "held-out");
  const heldOut = masks.map((mask, d) => mask.reduce((sum, out) => sum + out, 0) + files[d]!);
  return { train: train.map((documents, d) => documents - (heldOut[d]! - files[d]!)), heldOut };
}
