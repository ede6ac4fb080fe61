import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeldOutRule, SelectionRow, ShardCounts } from "../../src/manifest/contract.ts";
import { indexDocuments } from "../../src/manifest/document-index.ts";
import { heldOutCount, heldOutMask } from "../../src/manifest/held-out.ts";
import { type SelectionSettings, selectDocuments } from "../../src/manifest/select.ts";
import { countsFrom } from "./corpus.ts";
import { FILE_ORDER } from "./resample.ts";

const NONE: HeldOutRule = { kind: "none" };

describe("held-out documents", () => {
  it.each([
    [0.01, 10, 1000, 10],
    [0.01, 10, 5000, 50],
    [0.07, 0, 100, 7], // .07 · 100 is above 7 in doubles
    [0.001, 1, 10, 1],
    [0.5, 0, 3, 1],
    [1, 0, 10, 5],
    [0, 100, 7, 3],
    [0, 0, 100, 0],
    [0.01, 10, 1, 0],
    [0.01, 10, 0, 0],
  ])("fraction %f, at least %i, of %i: %i", (fraction, minDocuments, documents, expected) => {
    const rule: HeldOutRule = { kind: "fraction", fraction, minDocuments };
    expect(heldOutCount(rule, documents)).toBe(expected);
    const mask = heldOutMask(rule, 1, "books", documents);
    expect(mask.length).toBe(documents);
    expect(mask.reduce((sum, out) => sum + out, 0)).toBe(expected);
  });

  it("depend on seed and domain only", () => {
    const rule: HeldOutRule = { kind: "fraction", fraction: 0.1, minDocuments: 0 };
    expect(heldOutMask(rule, 1, "a", 500)).toEqual(heldOutMask(rule, 1, "a", 500));
    expect(heldOutMask(rule, 1, "a", 500)).not.toEqual(heldOutMask(rule, 2, "a", 500));
    expect(heldOutMask(rule, 1, "a", 500)).not.toEqual(heldOutMask(rule, 1, "b", 500));
    expect(heldOutMask({ kind: "files" }, 1, "a", 5)).toEqual(new Uint8Array(5));
  });
});

/** Any corpus: shards of rows of up to 4 domains (−1 = no document), some documents without tokens. */
const corpus = fc.array(
  fc.array(fc.tuple(fc.integer({ min: -1, max: 3 }), fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }))), {
    maxLength: 90,
  }),
  { minLength: 1, maxLength: 5 },
);
const rule = fc.oneof(
  fc.constant<HeldOutRule>(NONE),
  fc.record({
    kind: fc.constant("fraction" as const),
    fraction: fc.double({ min: 0, max: 0.6, noNaN: true }),
    minDocuments: fc.nat(4),
  }),
);
const names = ["a", "b", "c", "d"];

async function select(
  shards: readonly (readonly [number, number][])[],
  heldOut: HeldOutRule,
  epochs: readonly number[],
  seed: number,
  settings: SelectionSettings = FILE_ORDER,
) {
  const index = await indexDocuments({ counts: countsFrom(shards), domains: names, heldOut, seed });
  const targets = index.domains.map((domain, i) => Math.floor(domain.tokens * epochs[i]!));
  const selection = selectDocuments(index, targets, seed, settings);
  return { index, targets, selection, rows: [...selection.rows()] };
}

describe("selection laws", () => {
  it("hits the target within one document, never repeats in an epoch, and takes no held-out document", async () => {
    const epochs = fc.array(fc.double({ min: 0, max: 3.5, noNaN: true }), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(corpus, rule, epochs, fc.nat(), async (shards, heldOut, wanted, seed) => {
        const { index, targets, selection, rows } = await select(shards, heldOut, wanted, seed);
        // ordinals by hand: documents of a domain in the order of files and rows
        const ordinal = new Map<string, number>();
        const next = [0, 0, 0, 0];
        for (const [s, shard] of shards.entries()) {
          for (const [row, [domain]] of shard.entries()) if (domain >= 0) ordinal.set(`${s}/${row}`, next[domain]!++);
        }
        const seen = new Set<string>();
        const achieved = [0, 0, 0, 0];
        const documents = [0, 0, 0, 0];
        for (const row of rows) {
          const shard = Number(row.file.slice(1, -6));
          const domain = names.indexOf(row.domain);
          expect(row.rowStart).toBeLessThan(row.rowEnd);
          expect(Math.floor(row.rowStart / 32)).toBe(row.rowGroup);
          expect(Math.floor((row.rowEnd - 1) / 32)).toBe(row.rowGroup);
          let tokens = 0;
          for (let at = row.rowStart; at < row.rowEnd; at++) {
            expect(shards[shard]![at]![0]).toBe(domain);
            const place = `${shard}/${at}`;
            expect(seen.has(`${row.epoch}/${place}`)).toBe(false);
            seen.add(`${row.epoch}/${place}`);
            expect(index.domains[domain]!.heldOut[ordinal.get(place)!]).toBe(0);
            tokens += shards[shard]![at]![1];
            documents[domain]! += 1;
          }
          expect(row.tokens).toBe(tokens);
          achieved[domain]! += tokens;
        }
        for (const [i, domain] of selection.domains.entries()) {
          expect(domain.achievedTokens).toBe(achieved[i]);
          expect(domain.selectedDocuments).toBe(documents[i]);
          const longest = index.domains[i]!.longestTokens;
          expect(Math.abs(achieved[i]! - targets[i]!) * 2).toBeLessThanOrEqual(longest);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("sorts by domain, epoch, file, row, and merges neighbours", async () => {
    await fc.assert(
      fc.asyncProperty(corpus, rule, fc.nat(), async (shards, heldOut, seed) => {
        const { rows } = await select(shards, heldOut, [1, 2.5, 0.5, 3], seed);
        for (const [i, row] of rows.entries()) {
          const before = rows[i - 1];
          if (!before) continue;
          const key = (r: SelectionRow) => [names.indexOf(r.domain), r.epoch, Number(r.file.slice(1, -6)), r.rowStart];
          const [a, b] = [key(before), key(row)];
          const differs = a.findIndex((value, k) => value !== b[k]);
          expect(a[differs]!).toBeLessThan(b[differs]!);
          if (differs === 3 && before.rowEnd === row.rowStart) expect(row.rowGroup).not.toBe(before.rowGroup);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("does not depend on how the rows are split into files", async () => {
    await fc.assert(
      fc.asyncProperty(corpus, rule, fc.nat(), fc.integer({ min: 1, max: 40 }), async (shards, heldOut, seed, size) => {
        const all = shards.flat();
        const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
          all.slice(i * size, (i + 1) * size),
        );
        const documents = (result: SelectionRow[], starts: number[]) =>
          result.flatMap((row) =>
            Array.from(
              { length: row.rowEnd - row.rowStart },
              (_, i) => `${row.domain}/${row.epoch}/${starts[Number(row.file.slice(1, -6))]! + row.rowStart + i}`,
            ),
          );
        const startsOf = (list: readonly (readonly unknown[])[]) =>
          list.map((_, i) => list.slice(0, i).reduce((sum, rows) => sum + rows.length, 0));
        const one = await select(shards, heldOut, [1, 2.5, 0.5, 3], seed);
        const other = await select(pieces, heldOut, [1, 2.5, 0.5, 3], seed);
        expect(documents(other.rows, startsOf(pieces))).toEqual(documents(one.rows, startsOf(shards)));
      }),
      { numRuns: 60 },
    );
  });
});

describe("selection", () => {
  const shards: [number, number][][] = [Array.from({ length: 200 }, (_, i) => [0, 1 + (i % 9)] as [number, number])];

  it("is the same for the same seed, and another for another", async () => {
    const first = await select(shards, NONE, [0.5, 0, 0, 0], 1);
    expect((await select(shards, NONE, [0.5, 0, 0, 0], 1)).rows).toEqual(first.rows);
    expect((await select(shards, NONE, [0.5, 0, 0, 0], 2)).rows).not.toEqual(first.rows);
    expect([...first.selection.rows()]).toEqual(first.rows);
  });

  it("takes other documents in the partial pass of another epoch", async () => {
    const half = await select(shards, NONE, [0.5, 0, 0, 0], 1);
    const more = await select(shards, NONE, [1.5, 0, 0, 0], 1);
    const last = more.rows.filter((row) => row.epoch === 1);
    expect(last.map((row) => row.rowStart)).not.toEqual(half.rows.map((row) => row.rowStart));
    const whole = more.rows.filter((row) => row.epoch === 0);
    expect(whole.reduce((sum, row) => sum + row.rowEnd - row.rowStart, 0)).toBe(200);
  });

  it("takes all documents, the empty ones too, in a whole pass", async () => {
    const { rows } = await select(
      [
        [
          [0, 0],
          [0, 5],
          [0, 0],
        ],
      ],
      NONE,
      [2, 0, 0, 0],
      1,
    );
    expect(rows.map(({ epoch, rowStart, rowEnd, tokens }) => [epoch, rowStart, rowEnd, tokens])).toEqual([
      [0, 0, 3, 5],
      [1, 0, 3, 5],
    ]);
  });

  it("names the row group of every row, whatever the groups' lengths", async () => {
    const lengths = fc.oneof(
      fc.array(fc.nat(6), { minLength: 1, maxLength: 12 }), // empty ones too
      fc
        .tuple(fc.integer({ min: 1, max: 5 }), fc.nat(5), fc.nat(5))
        .map(([rows, times, last]) => [...new Array<number>(times).fill(rows), Math.min(last, rows)]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(lengths, { minLength: 1, maxLength: 3 }), async (files) => {
        const shards = files.map((groups) =>
          Array.from({ length: groups.reduce((a, b) => a + b) }, (): [number, number] => [0, 7]),
        );
        const counts = () =>
          [...(countsFrom(shards)() as Iterable<ShardCounts>)].map((shard, i) => ({
            ...shard,
            file: { ...shard.file, rowGroups: files[i]! },
          }));
        const index = await indexDocuments({ counts, domains: names, heldOut: NONE, seed: 1 });
        const settings: SelectionSettings = { granularity: "document", order: "domain", shuffle: "document" };
        const targets = [index.domains[0]!.tokens, 0, 0, 0];
        const found = [...selectDocuments(index, targets, 1, settings).rows()].flatMap((run) =>
          Array.from(
            { length: run.rowEnd - run.rowStart },
            (_, i) => `${run.file} ${run.rowStart + i} ${run.rowGroup}`,
          ),
        );
        const expected = files.flatMap((groups, file) =>
          groups
            .flatMap((rows, group) => new Array<number>(rows).fill(group))
            .map((group, row) => `s${file}.jsonl ${row} ${group}`),
        );
        expect(found.sort()).toEqual(expected.sort());
      }),
    );
  });

  it("refuses tokens from a domain that has documents and no tokens, and gives nothing to a target of 0", async () => {
    const index = await indexDocuments({
      counts: countsFrom([
        [
          [0, 0],
          [0, 0],
        ],
      ]),
      domains: names,
      heldOut: NONE,
      seed: 1,
    });
    expect(() => selectDocuments(index, [5, 0, 0, 0], 1, FILE_ORDER)).toThrow(/“a”.*has none outside its held-out/);
    expect([...selectDocuments(index, [0, 0, 0, 0], 1, FILE_ORDER).rows()]).toEqual([]);
  });

  it("refuses counts that contradict themselves, naming the file", async () => {
    const good = [
      ...(countsFrom([
        [
          [0, 1],
          [1, 2],
        ],
      ])() as Iterable<never>),
    ][0]! as object;
    const broken = (change: object) =>
      indexDocuments({ counts: () => [{ ...good, ...change } as never], domains: names, heldOut: NONE, seed: 1 });
    await expect(broken({ tokens: new Uint32Array(1) })).rejects.toThrow(/s0.jsonl.*2 rows, tokens has 1/);
    await expect(broken({ domain: Int32Array.of(0, 4) })).rejects.toThrow(/−1..3, got 4/);
  });
});
