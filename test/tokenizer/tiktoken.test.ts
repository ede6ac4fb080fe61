import fc from "fast-check";
import { encode as encodeCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { encode as encodeO200k } from "gpt-tokenizer/encoding/o200k_base";
import { encode as encodeR50k } from "gpt-tokenizer/encoding/r50k_base";
import { beforeAll, describe, expect, it } from "vitest";
import { Counter } from "../../src/tokenizer/counter.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { TIKTOKEN_PATTERNS } from "../../src/tokenizer/patterns.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { readTiktoken } from "../../src/tokenizer/tiktoken.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { batch, documents, vectors } from "./vectors.ts";

const PEERS = { r50k: encodeR50k, cl100k: encodeCl100k, o200k: encodeO200k };

describe.each(["r50k", "cl100k", "o200k"] as const)("%s", (name) => {
  let tokenizer: Tokenizer;
  let decode: (ids: Uint32Array) => Uint8Array;
  beforeAll(async () => {
    tokenizer = await openTokenizer(await resolveTokenizer(name, "."));
    const { vocabulary } = await readTiktoken(name, "text");
    decode = (ids) =>
      Buffer.concat([...ids].map((id) => vocabulary.bytes.subarray(vocabulary.ends[id]!, vocabulary.ends[id + 1]!)));
  });

  it("counts adversarial documents as tiktoken does, many in a call and one at a time", () => {
    const texts = documents.slice(0, vectors.tiktoken.length);
    const expected = vectors.tiktoken.map((row) => row[name]);
    const { bytes, offsets, counts } = batch(texts);
    tokenizer.count(bytes, offsets, counts);
    expect([...counts]).toEqual(expected);
    expect(texts.map((text) => tokenizer.encode(text).length)).toEqual(expected);
  });

  it("counts a part of a larger buffer, whatever lies around it", () => {
    const text = Buffer.from("x1234 don't   end \n");
    const alone = new Uint32Array(1);
    tokenizer.count(text, Uint32Array.of(0, text.length), alone);
    for (const around of ["a", " ", "'s", "\n", "9", "\u00e9", "..", "ll"]) {
      const before = Buffer.from(around);
      const bytes = Buffer.concat([before, text, Buffer.from(around)]);
      const counts = new Uint32Array(1);
      tokenizer.count(bytes, Uint32Array.of(before.length, before.length + text.length), counts);
      expect(counts[0], `between ${JSON.stringify(around)}`).toBe(alone[0]);
      const all = new Uint32Array(3);
      tokenizer.count(bytes, Uint32Array.of(0, before.length, before.length + text.length, bytes.length), all);
      expect(all[1]).toBe(alone[0]);
    }
  });

  it("gives the ids of gpt-tokenizer on ordinary text", () => {
    const text = vectors.extra
      .join("\n")
      .replaceAll("\u017f", "s")
      .replaceAll("\ufeff", "")
      .replaceAll("\u0085", "")
      .repeat(3);
    expect([...tokenizer.encode(Buffer.from(text))]).toEqual(PEERS[name](text, { disallowedSpecial: new Set() }));
  });

  it("encodes any text so that the ids' bytes are the text, as many as it counts", () => {
    const unit = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string(),
      fc.constantFrom(" ", "\n", "'ll", "  \r\n", "123", "\u00a0"),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
        const text = Buffer.from(units.join(""));
        const ids = tokenizer.encode(text);
        const counts = new Uint32Array(1);
        tokenizer.count(text, Uint32Array.of(0, text.length), counts);
        expect(Buffer.compare(decode(ids), text)).toBe(0);
        expect(counts[0]).toBe(ids.length);
        for (const id of ids) expect(id).toBeLessThan(tokenizer.descriptor.vocabularySize);
      }),
      { numRuns: 300 },
    );
  });

  it("counts an empty document as 0 and no documents as nothing", () => {
    const counts = new Uint32Array(2).fill(7);
    tokenizer.count(new Uint8Array(0), Uint32Array.of(0, 0, 0), counts);
    expect([...counts]).toEqual([0, 0]);
    tokenizer.count(new Uint8Array(0), Uint32Array.of(0), new Uint32Array(0));
    expect(tokenizer.encode(new Uint8Array(0)).length).toBe(0);
  });
});

describe("documents of any size", () => {
  it("takes time in proportion to a long run without breaks", async () => {
    const tokenizer = await openTokenizer(await resolveTokenizer("r50k", "."));
    const seconds = (size: number, unit: string) => {
      const started = performance.now();
      const count = tokenizer.encode(Buffer.alloc(size, unit)).length;
      expect(count).toBeGreaterThan(0);
      return (performance.now() - started) / 1000;
    };
    for (const unit of ["a", "-", " ", "xyzzy", "\u00e9"])
      expect(seconds(2_000_000, unit), `2 MB of ${unit}`).toBeLessThan(6);
  });

  it("agrees with itself on a long run cut at its own token boundaries", async () => {
    const tokenizer = await openTokenizer(await resolveTokenizer("r50k", "."));
    const { vocabulary } = await readTiktoken("r50k", "text");
    const text = Buffer.alloc(200_000, "abcabcaabbccaxqz");
    const ids = tokenizer.encode(text);
    let at = 0;
    for (const id of ids.subarray(0, ids.length >> 1)) at += vocabulary.ends[id + 1]! - vocabulary.ends[id]!;
    expect([...tokenizer.encode(text.subarray(0, at)), ...tokenizer.encode(text.subarray(at))]).toEqual([...ids]);
  });

  it("counts 50 MB without a space, and lets the memory go afterwards", async () => {
    const { vocabulary } = await readTiktoken("r50k", "text");
    const counter = await Counter.create(
      { kind: "byte-level", vocabulary },
      { kind: "pattern", ...TIKTOKEN_PATTERNS.r50k },
    );
    const size = 50_000_000;
    const text = Buffer.alloc(size, "zqxj");
    const counts = new Uint32Array(1);
    counter.count(text, Uint32Array.of(0, size), counts, "none");
    const quarter = new Uint32Array(1);
    counter.count(text.subarray(0, size / 4), Uint32Array.of(0, size / 4), quarter, "none");
    expect(Math.abs(counts[0]! - 4 * quarter[0]!)).toBeLessThan(8);
    expect(counter.memoryBytes).toBeLessThan(160e6); // 30 MB of tables, and at most 100 MB kept for the next call
  });
});
