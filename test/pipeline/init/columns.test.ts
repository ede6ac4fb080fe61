/** Which column is the text and which the domain, from values. */
import { expect, it } from "vitest";
import { chooseText, domainCandidates, textCandidates } from "../../../src/pipeline/init/columns.ts";

const rows = (count: number, value: (row: number) => string | null) =>
  Array.from({ length: count }, (_, row) => value(row));
const long = (row: number) => `${"words of a document ".repeat(10)}${row}`;
const chosen = (columns: Record<string, (string | null)[]>) =>
  chooseText(textCandidates(new Map(Object.entries(columns))))?.path;

it("the text is the column of known name, or the only one, or clearly the longest", () => {
  expect(chosen({ id: rows(9, String), text: rows(9, long) })).toBe("text");
  expect(chosen({ words: rows(9, long) })).toBe("words");
  expect(chosen({ id: rows(9, String), words: rows(9, long) })).toBe("words");
  expect(chosen({ url: rows(9, (row) => `https://host/${row}`), "doc.content": rows(9, long) })).toBe("doc.content");
  // a short column called text beside long documents: not the text
  expect(chosen({ text: rows(9, String), words: rows(9, long) })).toBe("words");
});

it("is left open where two may be it, and is none where no value is one", () => {
  expect(chosen({ question: rows(9, long), answer: rows(9, long) })).toBeUndefined();
  expect(chosen({ text: rows(9, () => null) })).toBeUndefined();
});

it("the domain is a column whose values repeat: known names first, ids and texts never", () => {
  const samples = new Map<string, (string | null)[]>([
    ["text", rows(100, long)],
    ["id", rows(100, String)],
    ["shelf", rows(100, (row) => "abcd"[row % 4]!)],
    ["meta.pile_set_name", rows(100, (row) => ["Pile-CC", "GitHub", null][row % 3]!)],
  ]);
  expect(domainCandidates(samples, "text")).toEqual([
    { path: "meta.pile_set_name", values: ["GitHub", "Pile-CC"], isKnown: true },
    { path: "shelf", values: ["a", "b", "c", "d"], isKnown: false },
  ]);
});
