/**
 * Which documents the small models read: whole units in a seeded order until every domain has what training draws
 * from it, so that of a large corpus only a small part is opened. Held-out documents met on the way feed evaluation.
 */
import type { ShardLayout } from "../../formats/shard.ts";
import { Rng } from "../../lib/rng.ts";
import { heldOutMask } from "../../manifest/held-out.ts";
import type { ShardRowCounts } from "../count/counts-file.ts";
import type { TokenizeInput } from "./contract.ts";

export type Split = "reference" | "proxy" | "held-out";

/** Chosen rows of one unit. */
export interface UnitPlan {
  readonly shard: number;
  /** index into the shard's layout.units */
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

export type CountsOf = (shard: number) => Promise<ShardRowCounts>;

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

export async function planTokenize(input: TokenizeInput, countsOf: CountsOf): Promise<TokenizePlan> {
  const K = input.domains.length;
  const domainIndex = new Map(input.domains.map((name, index) => [name, index]));
  const firstOrdinal = ordinalsBefore(input, domainIndex);
  const heldOut = heldOutMasks(input);
  const trainTokens = new Array<number>(K).fill(0);
  const heldOutTokens = new Array<number>(K).fill(0);
  const needs = storeNeeds(input);
  const longest = new Array<number>(K).fill(0);
  /** Whole documents overshoot: with the longest one to spare, both stores come to what they need however it falls. */
  const wanted = (d: number) => {
    const { reference, proxy } = needs[d]!;
    return reference + proxy + (reference > 0 && proxy > 0 ? longest[d]! : 0);
  };
  const available = availableDocuments(input, heldOut);
  const taken = { train: new Array<number>(K).fill(0), heldOut: new Array<number>(K).fill(0) };
  const satisfied = () =>
    input.domains.every(
      (_, d) =>
        (trainTokens[d]! >= wanted(d) || taken.train[d]! >= available.train[d]!) &&
        (heldOutTokens[d]! >= input.evaluationTokens || taken.heldOut[d]! >= available.heldOut[d]!),
    );

  const all = input.shards.flatMap((shard, index) =>
    (shard.layout as ShardLayout).units.map((_, unit) => ({ shard: index, unit })),
  );
  const order = new Rng(input.seed, "tokenize/units").permutation(all.length);
  const units: UnitPlan[] = [];
  for (let i = 0; i < all.length && !satisfied(); i++) {
    const { shard, unit } = all[order.at(i)]!;
    const counts = await countsOf(shard);
    const place = counts.domainNames.map((name) => domainIndex.get(name) ?? -1);
    const start = counts.unitRows.slice(0, unit).reduce((sum, rows) => sum + rows, 0);
    const end = start + counts.unitRows[unit]!;
    const ordinal = [...firstOrdinal[shard]!];
    for (let row = 0; row < start; row++) {
      const local = counts.domain[row]!;
      if (local >= 0 && place[local]! >= 0) ordinal[place[local]!]!++;
    }
    const chosen: { row: number; domain: number; heldOut: number; tokens: number }[] = [];
    for (let row = start; row < end; row++) {
      const local = counts.domain[row]!;
      const domain = local < 0 ? -1 : place[local]!;
      if (domain < 0) continue;
      const out = input.shards[shard]!.split === "held-out" || heldOut[domain]![ordinal[domain]!++] === 1;
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

/** [shard][domain]: documents of the domain in the training shards before this one. */
function ordinalsBefore(input: TokenizeInput, domainIndex: ReadonlyMap<string, number>): number[][] {
  const running = new Array<number>(input.domains.length).fill(0);
  return input.shards.map((shard) => {
    const before = [...running];
    if (shard.split === "train") {
      for (const [name, totals] of Object.entries(shard.totals)) {
        const domain = domainIndex.get(name);
        if (domain !== undefined) running[domain]! += totals.documents;
      }
    }
    return before;
  });
}

function documentsOf(input: TokenizeInput, split: "train" | "held-out"): number[] {
  return input.domains.map((name) =>
    input.shards.reduce((sum, shard) => sum + (shard.split === split ? (shard.totals[name]?.documents ?? 0) : 0), 0),
  );
}

function heldOutMasks(input: TokenizeInput): Uint8Array[] {
  const documents = documentsOf(input, "train");
  return input.domains.map((name, d) => heldOutMask(input.heldOut, input.seed, name, documents[d]!));
}

function availableDocuments(input: TokenizeInput, masks: readonly Uint8Array[]) {
  const train = documentsOf(input, "train");
  const files = documentsOf(input, "held-out");
  const heldOut = masks.map((mask, d) => mask.reduce((sum, out) => sum + out, 0) + files[d]!);
  return { train: train.map((documents, d) => documents - (heldOut[d]! - files[d]!)), heldOut };
}
