import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { unicodeClasses, unicodePages } from "../../src/tokenizer/unicode-classes.ts";
import { UNICODE_CLASSES_SHA256 } from "../../src/tokenizer/unicode-table.ts";

it("the class table is the one that was dumped", () => {
  const classes = unicodeClasses();
  expect(createHash("sha256").update(classes).digest("hex")).toBe(UNICODE_CLASSES_SHA256);
  expect(classes.reduce((n, bits) => n + (bits & 1), 0)).toBe(141_028); // \p{L} of tiktoken 0.14.0
});

it("pages give back the classes", () => {
  const classes = unicodeClasses();
  const pages = unicodePages();
  const back = classes.map((_, codePoint) => pages[0x1100 + (pages[codePoint >> 8]! << 8) + (codePoint & 255)]!);
  expect(Buffer.compare(back, classes)).toBe(0);
});
