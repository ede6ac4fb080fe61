import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { byteLevelVocabulary } from "../../src/tokenizer/byte-level.ts";
import { CharacterSets } from "../../src/tokenizer/character-sets.ts";
import { Counter } from "../../src/tokenizer/counter.ts";
import { parseRegex } from "../../src/tokenizer/regex.ts";
import { compileRegex } from "../../src/tokenizer/regex-program.ts";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.ts";
import { CATEGORY_RUNS, UNICODE_CATEGORIES_SHA256 } from "../../src/tokenizer/unicode-categories-table.ts";
import { decodeRuns } from "../../src/tokenizer/unicode-classes.ts";
import type { Vocabulary } from "../../src/tokenizer/vocabulary.ts";
import { SMALL_TOKENIZER } from "./vectors.ts";

const compile = (source: string) => compileRegex(parseRegex(source), { numberOf: () => 0 });

describe("what the matcher does not do exactly is refused", () => {
  it.each([
    ["a back-reference", String.raw`(a)\1`, /\\1/],
    ["\\w, which no two engines agree on", String.raw`\w+`, /\\w/],
    ["a word boundary", String.raw`\bfoo`, /\\b/],
    ["a POSIX class", "[[:alpha:]]+", /POSIX/],
    ["an atomic group", "(?>a+)b", /\(\?>/],
    ["a named group", "(?<x>a)", /look-around|\(\?</],
    ["a look-ahead of two characters", "a(?=bc)", /look-around/],
    ["a script but Han", String.raw`\p{Greek}`, /Greek/],
    ["case folding that joins letters", "(?i:straße|mass)", /any case/],
    ["case folding beyond ASCII", "(?i:é)", /any case/],
    ["an interval with a possessive +, which is none in Ruby's syntax", "a{1,3}+", /\{\}/],
    ["a match that may be empty", "a*|b", /empty/],
    ["a loop of what may be empty", "(?:a?)*b", /loop/],
    ["a huge expression", "(?:(?:ab){500}){500}", /large/],
    ["an open class", "[a-z", /cut off/],
    ["an open group", "(a", /without its end/],
    ["a parenthesis too many", "a)", /closes nothing/],
  ])("%s", (_, source, message) => {
    expect(() => compile(source)).toThrow(message);
  });

  it("a loop of a set that all matches begin with is known as one", () => {
    expect(compile(String.raw`\s+$`).loopFirst).toBe(true);
    expect(compile(String.raw`\s{2,}$`).loopFirst).toBe(false);
    expect(compile(String.raw`\s+$|a`).loopFirst).toBe(false);
  });
});

describe("sets of characters", () => {
  it("come from the table that was dumped", () => {
    expect(createHash("sha256").update(decodeRuns(CATEGORY_RUNS)).digest("hex")).toBe(UNICODE_CATEGORIES_SHA256);
  });

  const looked = (source: string) => {
    const regex = parseRegex(source);
    if (regex.kind !== "set") throw new Error("a set is meant");
    const sets = new CharacterSets();
    sets.numberOf({ kind: "range", first: 1, last: 0x10ffff });
    const number = sets.numberOf(regex.set);
    const indexes = new Uint16Array(Uint8Array.from(sets.indexes).buffer);
    return (code: number) => {
      const page = indexes[number * 0x1100 + (code >> 8)]!;
      return ((sets.pages[page * 32 + ((code & 255) >> 3)]! >> (code & 7)) & 1) === 1;
    };
  };

  // characters that no Unicode of the last ten years changed
  it.each([
    [String.raw`[^\r\n\p{L}\p{N}]`, String.raw`[^\r\n\p{L}\p{N}]`],
    [
      String.raw`[a-f\p{Lu}\p{M}&&[^A-C\p{Lt}]&&[\x00-\u0400]]`,
      String.raw`[[a-f\p{Lu}\p{M}]&&[^A-C\p{Lt}]&&[\x00-\u0400]]`,
    ],
    [String.raw`[^a[b-y]\P{Ll}]`, String.raw`[^a[b-y]\P{Ll}]`],
    [String.raw`[\]\-x-]`, String.raw`[\]\-x\-]`],
    [String.raw`\p{^P}`, String.raw`\P{P}`],
    [".", "[^\n]"],
    [String.raw`\D`, String.raw`\P{Nd}`],
  ])("%s", (source, same) => {
    const ours = looked(source);
    const theirs = new RegExp(`^${same}$`, "v");
    for (let code = 0; code < 0x250; code++)
      expect(ours(code), `U+${code.toString(16)}`).toBe(theirs.test(String.fromCodePoint(code)));
    expect([ours(0x4e2d), ours(0x10ffff)]).toEqual(["\u4e2d", "\u{10ffff}"].map((one) => theirs.test(one)));
  });

  it("white space and Han", () => {
    const wanted = [0x20, 0x85, 0x3000, 0x4e2d, 0x41, 0x200b];
    expect(wanted.map(looked(String.raw`[\p{Han}\s]`))).toEqual([true, true, true, true, false, false]);
  });
});

describe("time", () => {
  let vocabulary: Vocabulary;
  beforeAll(async () => {
    const { model, path } = await readTokenizerJson(SMALL_TOKENIZER);
    if (model.type !== "BPE") throw new Error(`a ${model.type} model`);
    vocabulary = byteLevelVocabulary(model, path);
  });
  const counter = (...sources: string[]) =>
    Counter.create(
      { kind: "byte-level", vocabulary },
      { kind: "steps", steps: sources.map((source) => ({ kind: "regex", regex: parseRegex(source), onBytes: false })) },
    );
  const count = (of: Counter, text: Uint8Array) => {
    const counts = new Uint32Array(1);
    of.count(text, Uint32Array.of(0, text.length), counts, "none");
    return counts[0]!;
  };

  it("is in proportion to the text where a run fails from every place in it", async () => {
    const of = await counter(String.raw`\s+$`, String.raw`\p{N}{1,3}`, String.raw`\s*[\r\n]+|\s+(?!\S)|\s+|\S+`);
    const text = Buffer.alloc(2_000_000, " ");
    text[text.length - 1] = 0x78;
    const started = performance.now();
    expect(count(of, text)).toBeGreaterThan(1000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("is given up on where the pattern backtracks without end, and the counter goes on with the next document", async () => {
    const of = await counter("(?:a|b|ab)*?(?:a|b|ab)+c");
    expect(() => count(of, Buffer.alloc(60_000, "ab"))).toThrow(
      expect.objectContaining({ code: "document-too-slow", kind: "bad-data" }),
    );
    expect(count(of, Buffer.from("abc"))).toBe(count(await counter(), Buffer.from("abc")));
  });

  it("cuts the same wherever the windows are", async () => {
    const of = await counter(String.raw`\p{N}`, String.raw` ?\p{L}+|\s+(?!\S)|\s+`);
    const line = "it is 1999, and 12 more words\n\n  \t";
    const one = count(of, Buffer.from(line.repeat(7)));
    const each = (count(of, Buffer.from(line.repeat(14))) - one) / 7;
    expect(count(of, Buffer.from(line.repeat(7007)))).toBe(one + 7000 * each);
  });
});
