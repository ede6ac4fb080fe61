/** Selections from totals of row groups, against those from documents, which know nothing of totals. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GroupCounts, ManifestFile, ShardCounts } from "../../src/manifest/contract.ts";
import { indexDocuments } from "../../src/manifest/document-index.ts";
import { needsNoDocuments, type SelectionSettings, selectDocuments, selectGroups } from "../../src/manifest/select.ts";
import { indexGroups } from "../../src/manifest/selection/groups.ts";

const DOMAINS = ["a", "b", "c"];

interface Group {
  readonly domain: number;
  /** of each row's document */
  readonly tokens: readonly number[];
}

function fileOf(groups: readonly Group[], index: number): ManifestFile {
  const rowGroups = groups.map(({ tokens }) => tokens.length);
  const rows = rowGroups.reduce((sum, size) => sum + size, 0);
  return {
    path: `${index}.parquet`,
    size: 1,
    sha256: "0".repeat(64),
    format: "parquet",
    rows,
    rowGroups,
    domain: null,
  };
}

function rowsOf(groups: readonly Group[], index: number): ShardCounts {
  const tokens = groups.flatMap((group) => group.tokens);
  return {
    file: fileOf(groups, index),
    domain: Int32Array.from(groups.flatMap((group) => group.tokens.map(() => group.domain))),
    bytes: Uint32Array.from(tokens, (count) => 4 * count),
    tokens: Uint32Array.from(tokens),
  };
}

function totalsOf(groups: readonly Group[], index: number): GroupCounts {
  const of = (value: (group: Group) => number) =>
    Float64Array.from(groups.flatMap((group) => DOMAINS.map((_, d) => (d === group.domain ? value(group) : 0))));
  const sum = ({ tokens }: Group) => tokens.reduce((total, count) => total + count, 0);
  return {
    file: fileOf(groups, index),
    documents: of(({ tokens }) => tokens.length),
    bytes: of((group) => 4 * sum(group)),
    tokens: of(sum),
  };
}

const settings = fc
  .record<SelectionSettings>({
    granularity: fc.constantFrom("row-group", "shard"),
    order: fc.constantFrom("mixed", "domain"),
    shuffle: fc.constantFrom("row-group", "shard", "none"),
  })
  .filter(needsNoDocuments);

const group = fc.record({
  domain: fc.nat(DOMAINS.length - 1),
  tokens: fc.array(fc.nat(50), { maxLength: 6 }),
});
const shards = fc.array(fc.array(group, { maxLength: 5 }), { minLength: 1, maxLength: 8 });

describe("row groups by their totals", () => {
  it("give the rows that the documents give, to the last", async () => {
    let rows = 0;
    await fc.assert(
      fc.asyncProperty(
        shards,
        settings,
        fc.nat(100),
        fc.tuple(fc.nat(400), fc.nat(400), fc.nat(400)),
        async (files, chosen, seed, wanted) => {
          const request = { domains: DOMAINS, heldOut: { kind: "none" }, seed } as const;
          const documents = await indexDocuments({ ...request, counts: () => files.map(rowsOf) });
          const groups = indexGroups(files.map(totalsOf), DOMAINS)!;
          const pick = ({ name, documents, bytes, tokens, heldOutDocuments }: (typeof groups.domains)[number]) => ({
            name,
            documents,
            bytes,
            tokens,
            heldOutDocuments,
          });
          expect(groups.domains.map(pick)).toMatchObject(
            documents.domains.map(({ name, documents, bytes, tokens }) => ({ name, documents, bytes, tokens })),
          );
          const targets = wanted.map((tokens, d) => (groups.domains[d]!.tokens === 0 ? 0 : tokens));
          const expected = selectDocuments(documents, targets, seed, chosen);
          const found = selectGroups(groups, targets, seed, chosen);
          expect(found.domains).toEqual(expected.domains);
          const list = [...found.rows()];
          expect(list).toEqual([...expected.rows()]);
          rows += list.length;
        },
      ),
      { numRuns: 300 },
    );
    expect(rows).toBeGreaterThan(1000);
  });

  it("are chosen among a few hundred thousand", async () => {
    const files = [Array.from({ length: 200_000 }, (): Group => ({ domain: 0, tokens: [3] }))];
    const documents = await indexDocuments({
      domains: DOMAINS,
      heldOut: { kind: "none" },
      seed: 1,
      counts: () => files.map(rowsOf),
    });
    const chosen: SelectionSettings = { granularity: "row-group", order: "domain", shuffle: "none" };
    const [found] = selectDocuments(documents, [30, 0, 0], 1, chosen).domains;
    expect(found).toEqual({ name: "a", achievedTokens: 30, selectedDocuments: 10 });
    const groups = indexGroups(files.map(totalsOf), DOMAINS)!;
    expect(selectGroups(groups, [30, 0, 0], 1, chosen).domains[0]).toEqual(found);
  });

  it("do not say enough where a group mixes domains or has rows that are no documents, or where documents move", () => {
    const mixed = totalsOf([{ domain: 0, tokens: [1, 2] }], 0);
    mixed.documents.set([1, 1, 0]);
    expect(indexGroups([mixed], DOMAINS)).toBeNull();
    const dropped = totalsOf([{ domain: 0, tokens: [1, 2] }], 0);
    dropped.documents.set([1, 0, 0]);
    expect(indexGroups([dropped], DOMAINS)).toBeNull();
    dropped.documents.set([0, 0, 0]);
    expect(indexGroups([dropped], DOMAINS)).toBeNull();
    expect(needsNoDocuments({ granularity: "row-group", order: "mixed", shuffle: "document" })).toBe(false);
    expect(needsNoDocuments({ granularity: "document", order: "mixed", shuffle: "none" })).toBe(false);
  });
});
