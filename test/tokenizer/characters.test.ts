/** BPE of characters beyond the golden vectors: random text against another implementation, and documents of any size. */
import { readFile } from "node:fs/promises";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { batch, FILES } from "./vectors.ts";

const PATH = `${FILES}byte-fallback.json`;

let tokenizer: Tokenizer;
let library: Library;
let tokens: string[];
beforeAll(async () => {
  tokenizer = await openTokenizer(await resolveTokenizer(PATH, "/"));
  const json = JSON.parse(await readFile(PATH, "utf8"));
  library = new Library({ ...json, added_tokens: [] }, {});
  tokens = Object.entries<number>(json.model.vocab).reduce<string[]>((list, [token, id]) => {
    list[id] = token;
    return list;
  }, []);
});

const count = (text: Uint8Array) => {
  const counts = new Uint32Array(1);
  tokenizer.count(text, Uint32Array.of(0, text.length), counts);
  return counts[0]!;
};

describe("BPE of characters", () => {
  it("makes the ids that @huggingface/tokenizers makes, of texts that its merges know well", () => {
    const pieces = tokens.filter((token) => !/^<0x|^<unk>|^<s>|^<\/s>/.test(token));
    const text = fc
      .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...pieces) }, fc.string({ unit: "grapheme" })), {
        maxLength: 40,
      })
      .map((parts) => parts.join("").replaceAll("\u2581", " "));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
        const expected = texts.map((one) => (one === "" ? [] : library.encode(one, { add_special_tokens: false }).ids));
        const documents = texts.map((one) => Buffer.from(one));
        expect(documents.map((document) => [...tokenizer.encode(document)])).toEqual(expected);
        const { bytes, offsets, counts } = batch(documents);
        tokenizer.count(bytes, offsets, counts);
        expect([...counts]).toEqual(expected.map(({ length }) => length));
      }),
      { numRuns: 300 },
    );
  });

  it("takes time in proportion to a text that it can't cut, and to one without a space", () => {
    // aa, aaaa and so on are tokens, so a run of them is one word for it
    const seconds = (size: number, unit: string) => {
      const started = process.cpuUsage();
      expect(count(Buffer.alloc(size, unit))).toBeGreaterThan(0);
      return process.cpuUsage(started).user / 1e6;
    };
    for (const unit of ["a", "-", " ", "ab", "\n"]) {
      expect(seconds(1_000_000, unit), `1 MB of ${JSON.stringify(unit)}`).toBeLessThan(6);
    }
    expect(seconds(50_000_000, "zqxj"), "50 MB of zqxj").toBeLessThan(20);
  });

  it("is the same however a long text is counted: alone, among others, or as ids", () => {
    const text = Buffer.from("the theme of then, and the1 2 3\n  def f(x):\u00e9\u4e2d\u6587 ".repeat(2000));
    const ids = tokenizer.encode(text);
    expect(count(text)).toBe(ids.length);
    const { bytes, offsets, counts } = batch([text.subarray(0, 9), text, Buffer.alloc(0), text]);
    tokenizer.count(bytes, offsets, counts);
    expect([...counts.subarray(1)]).toEqual([ids.length, 0, ids.length]);
  });
});
