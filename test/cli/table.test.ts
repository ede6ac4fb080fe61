import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { formatPairs, formatTable, printable, truncate } from "../../src/cli/table.ts";

describe("formatTable", () => {
  it("aligns by display width, numbers to the right, headers at the bottom", () => {
    const lines = formatTable(
      [{ header: "domain", align: "left" }, { header: "tokens\n(r50k)" }],
      [
        ["宋词", "1,234"],
        ["books", "7"],
      ],
      [["total", "1,241"]],
    );
    expect(lines).toEqual([
      "        tokens",
      "domain  (r50k)",
      "──────  ──────",
      "宋词     1,234",
      "books        7",
      "──────  ──────",
      "total    1,241",
    ]);
  });

  it("gives every line of right-aligned tables the same display width", () => {
    const cell = fc.string({ unit: "grapheme", maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 8 }), (rows) => {
        const lines = formatTable(
          [{ header: "a", align: "left" }, { header: "b" }],
          rows.map(([a]) => [a, "x"]),
        );
        expect(new Set(lines.slice(1).map((line) => stringWidth(line))).size).toBe(1);
      }),
    );
  });

  it("does not let a name move the cursor", () => {
    const [, , row] = formatTable([{ header: "domain" }], [["a\x1b[2Jb\nc"]]);
    expect(row).toBe("a�[2Jb�c");
  });
});

describe("truncate", () => {
  it("cuts between characters, wide ones too", () => {
    expect(truncate("books", 5)).toBe("books");
    expect(truncate("booksellers", 5)).toBe("book…");
    expect(truncate("宋词元曲", 5)).toBe("宋词…");
    expect(truncate("宋词元曲", 4)).toBe("宋…");
  });

  it("never exceeds the width", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, width) => {
        expect(stringWidth(truncate(printable(text), width))).toBeLessThanOrEqual(width);
      }),
    );
  });
});

it("pairs stand in two columns", () => {
  expect(
    formatPairs([
      ["rows", "7"],
      ["row groups", "1"],
    ]),
  ).toEqual(["rows        7", "row groups  1"]);
});
