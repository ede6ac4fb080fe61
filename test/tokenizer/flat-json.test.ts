import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFlatJson } from "../../src/tokenizer/flat-json.ts";
import { TokenTable, textAt } from "../../src/tokenizer/token-table.ts";

const read = (text: string) => readFlatJson(Buffer.from(text));

/** JSON with everything that may be written another way written so. */
const escaped = (text: string) =>
  JSON.stringify(text).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

const token = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });

describe("vocab and merges straight from the file's bytes", () => {
  it("are what JSON.parse reads, however they are written", () => {
    const vocab = fc.dictionary(token, fc.nat());
    const merges = fc.array(fc.tuple(token, token));
    const extra = fc.jsonValue();
    fc.assert(
      fc.property(
        vocab,
        merges,
        extra,
        fc.constantFrom(0, 1, "\t"),
        fc.boolean(),
        (ids, pairs, other, space, plain) => {
          const json = {
            other,
            model: { nested: { vocab: other }, vocab: ids, merges: pairs, type: "BPE" },
            last: other,
          };
          const written = JSON.stringify(json, null, space);
          const text = plain ? written : written.replace(/"(?:[^"\\]|\\.)*"/g, (string) => escaped(JSON.parse(string)));
          const flat = read(text);
          expect(flat.rest).toEqual(
            JSON.parse(JSON.stringify({ ...json, model: { ...json.model, vocab: null, merges: null } })),
          );
          const names = Array.from(flat.vocab!.numbers, (_, i) => textAt(flat.vocab!.strings, i));
          const entries = names.map((name, i) => [name, flat.vocab!.numbers[i]] as const);
          expect(entries).toEqual(Object.entries(ids));
          const parts = Array.from({ length: 2 * pairs.length }, (_, i) => textAt(flat.merges!, i));
          expect(parts).toEqual(pairs.flat());
        },
      ),
    );
  });

  it("may be scores and merges written as one string", () => {
    const flat = read('{"model": {"vocab": [["a", -1.5e1], ["b\\n", 0]], "merges": ["a b", "\\u0120 c"]}}');
    expect(flat.vocab).toMatchObject({ kind: "scores", numbers: Float64Array.of(-15, 0) });
    expect(Array.from({ length: 4 }, (_, i) => textAt(flat.merges!, i))).toEqual(["a", "b", "\u0120", "c"]);
  });

  it.each([
    ['{"model": {"vocab": {"a": 01}}}', /model\.vocab: at byte \d+/],
    ['{"model": {"vocab": {"a": 1,}}}', /must be a string/],
    ['{"model": {"vocab": {"a" 1}}}', /must be a colon/],
    ['{"model": {"vocab": {"a\n": 1}}}', /rest of a string/],
    ['{"model": {"vocab": {"a": 1}', /a comma or "}"/],
    ['{"model": {"merges": [["a"]]}}', /model\.merges: at byte \d+ there must be a comma/],
    ['{"model": {"merges": ["a b c"]}}', /two tokens with one space/],
    ['{"model": {}} x', /end of the file/],
    ['{"other": [1, 2', /rest of a value/],
    ['{"other": tru, "model": {}}', /JSON/],
    ['"text"', /must be "{"/],
  ])("%s is refused", (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe("a table of tokens", () => {
  it("finds each token by its bytes, also when they are in two places", () => {
    fc.assert(
      fc.property(fc.dictionary(token, fc.nat({ max: 1e6 }), { maxKeys: 200 }), token, (ids, absent) => {
        const { strings, numbers } = read(JSON.stringify({ model: { vocab: ids } })).vocab!;
        const table = new TokenTable(strings, Uint32Array.from(numbers));
        expect(table.idEnd).toBe(Math.max(-1, ...Object.values(ids)) + 1);
        expect(table.idOf(absent)).toBe(Object.hasOwn(ids, absent) ? ids[absent] : undefined);
        for (const [name, id] of Object.entries(ids)) expect(table.idOf(name)).toBe(id);
      }),
    );
  });
});
