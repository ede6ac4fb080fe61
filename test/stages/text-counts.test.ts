/** Texts that rows share are counted once, and their counts are each row's. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inspectShard, readUnit } from "../../src/formats/read.ts";
import type { TextBatch } from "../../src/formats/shard.ts";
import { TextCounts } from "../../src/stages/count/text-counts.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { rowsOf, withFile } from "../formats/reading.ts";

/** Counts letters e, and keeps what it was given. */
function letterCounter(): { tokenizer: Tokenizer; given: string[] } {
  const given: string[] = [];
  const tokenizer: Tokenizer = {
    descriptor: {} as Tokenizer["descriptor"],
    count: (bytes, offsets, counts) => {
      for (let i = 0; i < counts.length; i++) {
        const text = Buffer.from(bytes.subarray(offsets[i], offsets[i + 1])).toString();
        given.push(text);
        counts[i] = text.split("e").length - 1;
      }
    },
    encode: () => new Uint32Array(0),
  };
  return { tokenizer, given };
}

function check(batch: TextBatch, counts: readonly Uint32Array[]): void {
  rowsOf(batch).forEach((row, i) => {
    const text = batch.entries ? batch.entries[i]! : i;
    if (row) expect(counts[0]![text]).toBe(row.toString().split("e").length - 1);
  });
}

describe("texts of a dictionary", () => {
  it.each([
    "pq-enc-rle-runs.parquet",
    "pq-enc-dictionary-fallback.parquet",
    "ar-dictionary-int8.arrow",
    "ar-dictionary-delta.arrow",
  ])("of %s are counted once in a unit, however many rows and pages have them", async (name) => {
    await withFile(join("test/files/formats", name), async (file) => {
      const layout = await inspectShard(file, { text: "text" });
      for (const unit of layout.units) {
        const { tokenizer, given } = letterCounter();
        const counts = new TextCounts([tokenizer], [0]);
        const shared = new Set<string>();
        let own = 0;
        let rows = 0;
        for await (const batch of readUnit(file, layout, unit, { text: "text" }, {}, "lent")) {
          check(batch, counts.of(batch));
          rows += batch.rows;
          if (batch.entries) for (const row of rowsOf(batch)) row && shared.add(row.toString());
          else own += batch.rows;
        }
        expect(rows).toBe(unit.rows);
        expect(given).toHaveLength(shared.size + own);
      }
    });
  });

  it("are remembered from batch to batch; entries without a row are not counted", () => {
    const { tokenizer, given } = letterCounter();
    const seconds = [0];
    const counts = new TextCounts([tokenizer], seconds);
    const bytes = Buffer.from("e|ee|eee|eeee");
    const offsets = Uint32Array.of(0, 2, 5, 9, 13);
    const batch = (entries: number[], validity?: number[]): TextBatch => ({
      unit: 0,
      rowStart: 0,
      rows: entries.length,
      bytes,
      offsets,
      entries: Int32Array.from(entries),
      ...(validity && { validity: Uint8Array.from(validity) }),
    });
    for (const { entries, validity, fresh } of [
      { entries: [2, 0, 2], fresh: ["e|", "eee|"] },
      { entries: [0, 3], validity: [1, 0], fresh: [] },
      { entries: [1, 2, 3], fresh: ["ee|", "eeee"] },
    ]) {
      given.length = 0;
      const of = batch(entries, validity);
      check(of, counts.of(of));
      expect(given).toEqual(fresh);
    }
    expect(seconds[0]).toBeGreaterThan(0);
  });
});
