/**
 * A made-up corpus as counting leaves it: counts files, the list of shards and totals, and no text. Domains differ in size
 * as those of real corpora do; tokens of documents are skewed, since a column of equal numbers would pack to nothing.
 */
import { join } from "node:path";
import { JsonLinesFile } from "../../src/lib/json-lines.ts";
import { philox } from "../../src/lib/rng.ts";
import type { CountedShard } from "../../src/stages/count/contract.ts";
import { writeCountsFile } from "../../src/stages/count/counts-file.ts";
import { planGroups } from "../../src/stages/count/plan.ts";
import { CorpusTotals, groupTotals, shardTotals, valueTotals } from "../../src/stages/count/totals.ts";
import type { UnitRows } from "../../src/stages/count/unit-rows.ts";
import type { ResampleInput } from "../../src/stages/resample/contract.ts";

export interface CorpusSize {
  readonly shards: number;
  readonly documents: number;
  readonly domains: number;
  /** every shard holds documents of all domains, and a column says whose; otherwise of one, and its path does */
  readonly mixed: boolean;
}

const TOKENIZER = "made-up";
/** of each shard */
const GROUPS = 10;
const BYTES_PER_TOKEN = 4;
const RULE = { map: null, listed: null, unlisted: "fail" } as const;

/** Of resample, but for what a measurement varies. */
export type CountedCorpus = Omit<ResampleInput, "budgetTokens" | "selection" | "heldOut">;

/** @param folder of the count stage, which is there */
export async function writeCorpus(folder: string, size: CorpusSize): Promise<CountedCorpus> {
  const names = Array.from({ length: size.domains }, (_, d) => `domain-${String(d).padStart(3, "0")}`);
  const rows = share(size.documents, size.shards);
  const domainOf = shardDomains(size);
  const totals = new CorpusTotals([TOKENIZER]);
  const list = await JsonLinesFile.create(join(folder, "shards.jsonl"));
  const bytes = rows.map((count) => count * 2000); // of a shard: enough for a few of them in each counts file
  for (const [number, { start, end }] of planGroups(bytes).entries()) {
    const path = `${String(number).padStart(5, "0")}.counts.arrow`;
    const members = Array.from({ length: end - start }, (_, i) => start + i);
    const parts = members.map((shard) => unitsOf(shard, rows[shard]!, size, domainOf[shard]!));
    const sha256 = await writeCountsFile(join(folder, path), parts.flat(), names, [TOKENIZER]);
    let rowStart = 0;
    for (const [i, shard] of members.entries()) {
      const record = shardRecord(shard, parts[i]!, names, size.mixed ? null : names[domainOf[shard]!]!, {
        path,
        sha256,
        rowStart,
      });
      rowStart += record.rows;
      totals.add(record);
      await list.add(record);
    }
  }
  const { domains, notes } = totals.finish(RULE, []);
  const fingerprint = "0".repeat(64);
  const common = {
    name: TOKENIZER,
    fingerprint,
    vocabularySize: 50_257,
    endOfText: null,
    specialTokens: "text",
  } as const;
  return {
    pipeline: "bench",
    count: {
      tokenizers: [{ ...common, path: "fast" }],
      domains,
      shards: { path: "shards.jsonl", sha256: await list.commit(), shards: size.shards, rows: size.documents },
      skipped: [],
      notes,
    },
    root: "/corpus",
    target: "/runs/bench/resample",
    tokenizer: { ...common, path: "fast", source: { kind: "tiktoken", encoding: "r50k" } },
    columns: { text: "text", domain: size.mixed ? "domain" : null },
    domainRule: RULE,
    transform: null,
    onBadDocument: "fail",
    weights: domains.map(() => 1 / domains.length),
    weightsFrom: "given",
    unit: { kind: "tokens" },
    maxEpochs: domains.map(() => 4),
    minShares: domains.map(() => 0),
    onCap: "redistribute",
    seed: 1,
    notes: [],
  };
}

/** `total` in as many parts, none more than one larger than another. */
function share(total: number, parts: number): number[] {
  return Array.from(
    { length: parts },
    (_, i) => Math.floor(((i + 1) * total) / parts) - Math.floor((i * total) / parts),
  );
}

/** Shards of domain d in proportion to 1 ÷ (d + 1), at least one, domain after domain. */
function shardDomains({ shards, domains }: CorpusSize): number[] {
  const wanted = Array.from({ length: domains }, (_, d) => 1 / (d + 1));
  const sum = wanted.reduce((a, b) => a + b, 0);
  const counts = wanted.map((weight) => Math.max(1, Math.floor((weight / sum) * shards)));
  counts[0]! += shards - counts.reduce((a, b) => a + b, 0);
  return counts.flatMap((count, d) => new Array<number>(count).fill(d));
}

function unitsOf(shard: number, rows: number, { domains, mixed }: CorpusSize, domain: number): UnitRows[] {
  const block = new Uint32Array(4);
  return share(rows, GROUPS).map((count, group) => {
    const unit = {
      rows: count,
      domain: new Int32Array(count).fill(domain),
      bytes: new Uint32Array(count),
      tokens: [new Uint32Array(count)],
    };
    for (let i = 0; i < count; i++) {
      if (i % 2 === 0) philox(block, i, group, shard, 4, 0, 0);
      const [x, y] = [block[i % 2]!, block[2 + (i % 2)]!];
      const tokens = 20 + (((x >>> 16) * (x & 0xffff)) >>> (18 + (y & 7)));
      unit.tokens[0]![i] = tokens;
      unit.bytes[i] = tokens * BYTES_PER_TOKEN;
      // the lesser of two numbers: domain 0 has most
      if (mixed) unit.domain[i] = Math.min((y >>> 4) % domains, (y >>> 18) % domains);
    }
    return unit;
  });
}

function shardRecord(
  shard: number,
  units: readonly UnitRows[],
  names: readonly string[],
  domain: string | null,
  counts: CountedShard["counts"],
): CountedShard {
  const values = valueTotals(units, names, 1);
  const unitRows = units.map((unit) => unit.rows);
  const rows = unitRows.reduce((sum, count) => sum + count, 0);
  const file = `part-${String(shard).padStart(6, "0")}.parquet`;
  return {
    path: domain === null ? file : `${domain}/${file}`,
    size: rows * 2000,
    sha256: String(shard).padStart(64, "0"),
    format: "parquet",
    split: "train",
    domain,
    rows,
    rowGroups: unitRows,
    units: [],
    unitRows,
    droppedRows: 0,
    totals: shardTotals(values, { domain }, RULE, [TOKENIZER]),
    groups: groupTotals(values, { domain }, RULE, [TOKENIZER], unitRows.length),
    counts,
  };
}
