import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allValid, toValidUtf8 } from "../../src/lib/utf8.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { batch } from "../tokenizer/vectors.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Bytes that often make sequences which go wrong late. */
const bytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0xc2, 0xc0, 0xff, 0x80, 0x9f, 0xa0, 0xbf, 0x8f, 0x90, 0x41),
      fc.nat(255),
    ),
    { maxLength: 40 },
  )
  .map((list) => Uint8Array.from(list));

describe("invalid UTF-8", () => {
  it("is replaced as the WHATWG decoder does", () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(Buffer.from(toValidUtf8(text)).toString("hex")).toBe(Buffer.from(decoder.decode(text)).toString("hex"));
      }),
      { numRuns: 3000 },
    );
  });

  it("is seen document by document, also where two documents make up a character", () => {
    const euro = Buffer.from("\u20ac");
    const { bytes: together, offsets } = batch([
      Buffer.from("a"),
      euro.subarray(0, 1),
      euro.subarray(1),
      Buffer.from("b"),
    ]);
    expect(allValid(together, offsets)).toBe(false);
    expect(allValid(together, Uint32Array.of(0, 1, 4, 5))).toBe(true);
    expect(allValid(new Uint8Array(0), Uint32Array.of(0))).toBe(true);
    expect(allValid(euro, Uint32Array.of(0, 0, 3, 3))).toBe(true);
  });

  it("is counted and encoded as its replacement, and its neighbours as if it were not there", async () => {
    const tokenizer = await openTokenizer(await resolveTokenizer("cl100k", "."));
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 6 }), (texts) => {
        const { bytes: all, offsets, counts } = batch(texts);
        tokenizer.count(all, offsets, counts);
        texts.forEach((text, i) => {
          const ids = tokenizer.encode(Buffer.from(decoder.decode(text)));
          expect(tokenizer.encode(text)).toEqual(ids);
          expect(counts[i]).toBe(ids.length);
        });
      }),
      { numRuns: 300 },
    );
  });
});
