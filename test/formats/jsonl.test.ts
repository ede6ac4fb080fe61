/** Lines read by their bytes are what JSON.parse makes of them: the same accepted, the same texts, faults with their line. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineFinder } from "../../src/formats/jsonl/find.ts";
import { jsonlLayout, readStretch } from "../../src/formats/jsonl/read.ts";
import { type BadLine, parseRecord, stringAt } from "../../src/formats/jsonl/record.ts";
import { KIND } from "../../src/formats/jsonl/scanner.ts";
import type { BatchForm } from "../../src/formats/shard.ts";
import { DEFAULT_LIMITS } from "../../src/formats/shard.ts";
import type { RandomAccessFile } from "../../src/storage/storage.ts";
import { domainsOf, rowsOf } from "./reading.ts";

const PATHS = ["text", "meta.set", "a.b.c"] as const;

/** What the scanner says of a line; undefined where it leaves the line to JSON.parse. */
function scanned(line: Uint8Array, path: string): string | null | undefined {
  const finder = new LineFinder([path]);
  const start = finder.scanner.open(line);
  const end = finder.line(start);
  if (end === 0) return undefined;
  const found = finder.found[0]!;
  if (found.kind === KIND.null) return null;
  const inside = { start: found.start + 1, end: found.end - 1 };
  const text = found.kind === KIND.plainString ? inside : finder.scanner.unescape(inside.start, inside.end);
  expect(end).toBe(start + line.length);
  return finder.scanner.bytes.toString("utf8", text.start, text.end);
}

/** What JSON.parse makes of it; an error's code where it is a fault. */
function parsed(line: Buffer, path: string): { value?: string | null; code?: string } {
  try {
    const found = parseRecord(line);
    return found ? { value: stringAt(found.record, path) } : {};
  } catch (error) {
    return { code: (error as BadLine).code };
  }
}

/** JSON of a value, with white space and escapes where the entropy says so. */
function render(value: unknown, entropy: Iterator<number>): string {
  const draw = (below: number) => (entropy.next().value as number) % below;
  const space = () => ["", "", "", " ", "\t", "\r", "  "][draw(7)]!;
  const string = (text: string) =>
    `"${Array.from(text, (character) => {
      const plain = JSON.stringify(character).slice(1, -1);
      if (draw(6) > 0) return character === "/" && draw(2) ? "\\/" : plain;
      const units = Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
      ).join("");
      return draw(2) ? units : units.toUpperCase().replaceAll("\\U", "\\u");
    }).join("")}"`;
  const write = (inner: unknown): string => {
    if (typeof inner === "string") return string(inner);
    if (Array.isArray(inner)) return `[${space()}${inner.map((item) => write(item) + space()).join(`,${space()}`)}]`;
    if (inner === null || typeof inner !== "object") return JSON.stringify(inner);
    const members = Object.entries(inner).map(
      ([key, item]) => `${JSON.stringify(key)}${space()}:${space()}${write(item)}`,
    );
    return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`;
  };
  return space() + write(value) + space();
}

const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: fc.constantFrom("a", '"', "\\", "\n", "é", "字", "😀", "\u0000", "\u2028", "/"), maxLength: 40 }),
);
const someKey = fc.constantFrom(
  "text",
  "meta",
  "set",
  "meta.set",
  "a",
  "b",
  "c",
  "a.b",
  "b.c",
  "a.b.c",
  "id",
  "__proto__",
);
const someValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    texts,
    fc.constantFrom(null, true, false, 0, -0.5, 1e21, 12, "\u{1f600}"),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("object"),
  ),
  object: fc.dictionary(someKey, tie("value"), { maxKeys: 4, noNullPrototype: true }),
}));
/** The paths' values in all the ways that they can be there. */
const withPaths = fc.tuple(someValue.object, texts, fc.nat(5)).map(([object, text, way]): object => {
  const ways = [
    { text },
    { meta: { set: text } },
    { a: { b: { c: text } } },
    { a: { "b.c": text } },
    { "a.b": { c: text } },
    { "a.b.c": text, "meta.set": text },
  ];
  return way % 2 ? { ...object, ...ways[way] } : { ...ways[way], ...object };
});
const entropies = fc.infiniteStream(fc.nat(1 << 20));

describe("a line by its bytes", () => {
  it("that is sound has the value that JSON.parse gives, and is left to it only where the path is no string", () => {
    let strings = 0;
    fc.assert(
      fc.property(withPaths, fc.constantFrom(...PATHS), entropies, (record, path, entropy) => {
        const line = Buffer.from(render(record, entropy));
        expect(() => JSON.parse(line.toString())).not.toThrow();
        const { value } = parsed(line, path);
        expect(scanned(line, path)).toBe(value);
        if (typeof value === "string") strings++;
      }),
      { numRuns: 2000 },
    );
    expect(strings).toBeGreaterThan(500);
  });

  it("with bytes changed, left out or put in is never taken where JSON.parse takes it otherwise", () => {
    const change = fc.record({
      at: fc.nat(10_000),
      remove: fc.nat(3),
      insert: fc.constantFrom(
        ...[
          '"',
          "\\",
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          "0",
          "-",
          ".",
          "e",
          "u",
          "\u0001",
          "\u00a0",
          "\\ud83d",
          "\\u12g4",
          "tru",
          "01",
          "",
        ],
      ),
    });
    let faults = 0;
    fc.assert(
      fc.property(
        someValue.object,
        texts,
        fc.array(change, { minLength: 1, maxLength: 2 }),
        entropies,
        (record, text, changes, entropy) => {
          let line = Buffer.from(render({ ...record, text }, entropy));
          for (const { at, remove, insert } of changes) {
            const from = at % (line.length + 1);
            line = Buffer.concat([line.subarray(0, from), Buffer.from(insert), line.subarray(from + remove)]);
          }
          if (!Buffer.from(line.toString()).equals(line)) return; // invalid UTF-8 never gets to the scanner
          const { value, code } = parsed(line, "text");
          const found = scanned(line, "text");
          if (code !== undefined) faults++;
          if (found !== undefined) expect(found).toBe(value);
          if (code !== undefined) expect(found).toBeUndefined();
        },
      ),
      { numRuns: 3000 },
    );
    expect(faults).toBeGreaterThan(500);
  });

  it.each([
    ['{"text":"a"}', "a"],
    ['{"text":"a","text":"b"}', "b"],
    ['{"text":"a","text":null}', null],
    ['\t{ "x" : [1,{"text":"no"},[]] , "text" : "yes" }\r', "yes"],
    ['{"text":"\\ud83d\\ude00\\u0000\\/"}', "😀\0/"],
    [`{"text":"${"x".repeat(15)}\\"${"y".repeat(16)}\\\\"}`, `${"x".repeat(15)}"${"y".repeat(16)}\\`],
    [`{"n":[-0,1.5e+3,2E-7],"text":"${"é".repeat(9)}"}`, "é".repeat(9)],
  ])("%s", (line, text) => {
    expect(scanned(Buffer.from(line), "text")).toBe(text);
  });

  it.each([
    '{"text":"a"}x',
    '{"text":"a"',
    '{"text":"a}',
    '{"text":"a\\"}',
    '{"text":"a","n":01}',
    '{"text":"a","n":1.}',
    '{"text":"a","n":+1}',
    '{"text":"a","n":NaN}',
    '{"text":"a",}',
    '{"text" "a"}',
    '{"text":"\t"}',
    '{"text":"\\x"}',
    '{"text":"\\u12"}',
    '{"text":"a","n":nul}',
    '{"text":"a"}\u00a0',
    '\ufeff{"text":"a"}',
    '["text"]',
    "",
    '{"text":"a","n":tru',
  ])("%j is left to JSON.parse", (line) => {
    expect(scanned(Buffer.from(line), "text")).toBeUndefined();
  });

  it("does not look at what is behind the block", () => {
    const finder = new LineFinder(["text"]);
    finder.scanner.open(Buffer.from('{"text":"a long line that was there before"}'));
    for (const part of ['{"text":"a long li', '{"text":"a', '{"text"', '{"text":"a long line","n":1', '{"n":"\\u00']) {
      expect(finder.line(finder.scanner.open(Buffer.from(part)))).toBe(0);
    }
  });
});

describe("lines of a file", () => {
  function inMemory(bytes: Buffer, pieceBytes: number): RandomAccessFile {
    return {
      uri: "lines.jsonl",
      size: bytes.length,
      read: async (start, end) => bytes.subarray(start, end),
      stream: async function* (start = 0, end = bytes.length) {
        for (let at = start; at < end; at += pieceBytes) yield bytes.subarray(at, Math.min(end, at + pieceBytes));
      },
      close: async () => {},
    };
  }

  async function read(bytes: Buffer, pieceBytes: number, form: BatchForm) {
    const file = inMemory(bytes, pieceBytes);
    const rows: (string | null)[] = [];
    const domains: (string | null)[] = [];
    const columns = { text: "text", domain: "meta.set" };
    const limits = { ...DEFAULT_LIMITS, batchBytes: 100 };
    for (const unit of jsonlLayout(bytes.length, "none", limits, 200).units) {
      for await (const batch of readStretch(file, unit, columns, limits, form)) {
        rows.push(...rowsOf(batch).map((row) => row?.toString() ?? null));
        domains.push(...domainsOf(batch));
      }
    }
    return { rows, domains };
  }

  const records = fc.array(
    fc.record({ text: fc.option(texts), meta: fc.oneof(fc.constant(null), fc.record({ set: fc.option(texts) })) }),
    { minLength: 1, maxLength: 12 },
  );

  it("are its records, however the file is cut, lent or owned", async () => {
    await fc.assert(
      fc.asyncProperty(
        records,
        entropies,
        fc.integer({ min: 1, max: 300 }),
        fc.constantFrom("owned", "lent"),
        async (all, entropy, pieceBytes, form) => {
          const bytes = Buffer.from(all.map((record) => `${render(record, entropy)}\n`).join(""));
          const { rows, domains } = await read(bytes, pieceBytes, form as BatchForm);
          expect(rows).toEqual(all.map(({ text }) => text));
          expect(domains).toEqual(all.map(({ meta }) => meta?.set ?? null));
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([
    ['{"text":"a","meta":{"set":"x"}', "bad-json"],
    ['{"text":"a","meta":{}}', "missing-column"],
    ['{"text":5,"meta":{"set":"x"}}', "wrong-column-type"],
    ['{"text":"\\ud800","meta":{"set":"x"}}', "invalid-utf8"],
  ])("%s is a fault with its line", async (line, code) => {
    const sound = '{"text":"sound","meta":{"set":"x"}}\n';
    const bytes = Buffer.from(`${sound.repeat(20)}${line}\n${sound}`);
    await expect(read(bytes, 64, "lent")).rejects.toMatchObject({ code, line: 21, file: "lines.jsonl" });
  });
});
