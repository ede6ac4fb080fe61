/** Which documents the small models read, and which of the two reads them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TokenizeInput } from "../../src/stages/tokenize/contract.ts";
import { assignSplits, planTokenize } from "../../src/stages/tokenize/plan.ts";

/** A corpus of one shard a domain, of units of so many rows; one unit where nothing is said. @param lengths tokens of each document by domain */
function corpus(
  lengths: Readonly<Record<string, readonly number[]>>,
  settings: Partial<TokenizeInput> = {},
  rows = Number.POSITIVE_INFINITY,
) {
  const names = Object.keys(lengths);
  const shards = names.map((name) => {
    const documents = lengths[name]!.length;
    const unitRows: number[] = [];
    for (let left = documents; left > 0; left -= rows) unitRows.push(Math.min(rows, left));
    return {
      split: "train" as const,
      totals: { [name]: { documents, bytes: 0, tokens: {} } },
      units: unitRows.map((_, index) => ({ index, rows: null, storedBytes: 0, memoryBytes: 0, locator: null })),
      unitRows,
    };
  });
  const input = {
    root: "/",
    domains: names,
    tokenizer: { endOfText: 0 },
    textColumn: "text",
    domainColumn: null,
    transform: null,
    heldOut: { kind: "none" },
    sequenceLength: 32,
    referenceTokens: names.map(() => 100),
    proxyTokens: names.map(() => 100),
    evaluationTokens: 0,
    seed: 1,
    heldOutSeed: 1,
    ...settings,
  } as unknown as TokenizeInput;
  const countsOf = async (shard: number) => {
    const tokens = Uint32Array.from(lengths[names[shard]!]!);
    return { domain: new Int32Array(tokens.length).fill(shard), bytes: tokens, tokens };
  };
  return { input, shards, countsOf };
}

/** Tokens of each store of a domain, end-of-text tokens included. */
async function stores({ input, shards, countsOf }: ReturnType<typeof corpus>) {
  const plan = await planTokenize(input, shards, countsOf);
  const { splits, disjoint } = assignSplits(input, plan);
  const end = input.tokenizer.endOfText === null ? 0 : 1;
  return input.domains.map((name, d) => {
    const sum = { name, disjoint: disjoint[d]!, chosen: plan.trainTokens[d]!, reference: 0, proxy: 0 };
    for (const [u, unit] of plan.units.entries()) {
      for (const [i, split] of splits[u]!.entries()) {
        if (unit.domain[i] === d && split !== "held-out") sum[split] += unit.tokens[i]! + end;
      }
    }
    return sum;
  });
}

const many = (documents: number, tokens: number) => new Array<number>(documents).fill(tokens);

describe("documents for the small models", () => {
  it("stay apart where a small weight comes to less than a sequence", async () => {
    const [small] = await stores(corpus({ small: many(100, 20) }, { referenceTokens: [1], proxyTokens: [70] }));
    expect(small).toMatchObject({ disjoint: true });
    expect(small!.reference).toBeGreaterThan(32);
    expect(small!.proxy).toBeGreaterThanOrEqual(70);
  });

  it("are at least a sequence of a domain whose needs add up to less", async () => {
    const [small] = await stores(corpus({ small: many(100, 9) }, { referenceTokens: [3], proxyTokens: [5] }));
    expect(small!.chosen).toBeGreaterThan(32);
    expect(small).toMatchObject({ disjoint: true });
  });

  it("are no more than both needs and a document to spare", async () => {
    const [domain] = await stores(corpus({ domain: many(1000, 9) }));
    expect(domain!.chosen).toBe(210); // 100 + 100 + 10, in documents of 9 and an end-of-text token
  });

  it("are all of a domain that a reference from outside leaves to the proxy", async () => {
    const [domain] = await stores(corpus({ domain: many(1000, 9) }, { referenceTokens: [0], proxyTokens: [5] }));
    expect(domain).toMatchObject({ disjoint: false, chosen: 40 });
  });

  it("are shared where the domain has not enough for both", async () => {
    const [domain] = await stores(corpus({ domain: many(10, 9) }));
    expect(domain).toMatchObject({ disjoint: false, reference: 100, proxy: 0 });
  });

  it("count no end-of-text token where the tokenizer has none", async () => {
    const tokenizer = { endOfText: null } as TokenizeInput["tokenizer"];
    const [domain] = await stores(
      corpus({ domain: many(1000, 1) }, { tokenizer, referenceTokens: [50], proxyTokens: [50] }),
    );
    // 101 tokens in documents of one: with a separator that is not written it would be half of that.
    expect(domain).toMatchObject({ disjoint: true, chosen: 101 });
    expect(Math.min(domain!.reference, domain!.proxy)).toBeGreaterThanOrEqual(50);
  });

  it("fill both stores to their needs, whatever the lengths, the needs and the seed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 1000 }),
        async (lengths, reference, proxy, seed) => {
          const longest = Math.max(...lengths) + 1;
          const need = { reference: Math.max(33, reference), proxy: Math.max(33, proxy) };
          // Enough of them that the domain can give both needs and the longest document again.
          const all = [...lengths];
          while (all.reduce((sum, tokens) => sum + tokens + 1, 0) < need.reference + need.proxy + longest)
            all.push(...lengths);
          const [domain] = await stores(
            corpus({ domain: all }, { referenceTokens: [reference], proxyTokens: [proxy], seed }),
          );
          expect(domain!.disjoint).toBe(true);
          expect(domain!.reference).toBeGreaterThanOrEqual(need.reference);
          expect(domain!.proxy).toBeGreaterThanOrEqual(need.proxy);
        },
      ),
    );
  });

  describe("of another seed", () => {
    /** Rows of the held-out documents in the order in which their store gets them, and of the training documents. */
    async function choice(seed: number, heldOutSeed: number, needs = 300) {
      const { input, shards, countsOf } = corpus(
        { a: many(500, 9), b: many(300, 14) },
        {
          seed,
          heldOutSeed,
          heldOut: { kind: "fraction", fraction: 0.2, minDocuments: 1 },
          evaluationTokens: 200,
          referenceTokens: [needs, needs],
          proxyTokens: [needs, needs],
        },
        20,
      );
      const { units } = await planTokenize(input, shards, countsOf);
      const rows = (out: number) =>
        units.flatMap(({ shard, unit, rows, heldOut }) =>
          [...rows].flatMap((row, i) => (heldOut[i] === out ? [`${shard}/${unit}/${row}`] : [])),
        );
      return { heldOut: rows(1), training: rows(0) };
    }

    it("are others, and the held-out documents the same in the same order", async () => {
      const first = await choice(1, 1);
      expect(first.heldOut.length).toBe(20 + 14); // 200 tokens of documents of 10, and of 15
      for (const seed of [2, 3, 4]) {
        const other = await choice(seed, 1);
        expect(other.heldOut).toEqual(first.heldOut);
        expect(other.training).not.toEqual(first.training);
        expect(other.training.filter((row) => first.heldOut.includes(row))).toEqual([]);
        expect(new Set(other.training).size).toBe(other.training.length);
      }
      expect((await choice(1, 2)).heldOut).not.toEqual(first.heldOut);
    });

    it("leave the held-out documents as they are where other weights ask for more or fewer", async () => {
      for (const seed of [1, 2]) expect((await choice(seed, 1, 900)).heldOut).toEqual((await choice(seed, 1)).heldOut);
    });
  });
});
