/** Normalizers against Hugging Face's: every Unicode scalar value, most in four contexts, and the adversarial documents. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toValidUtf8 } from "../../src/lib/utf8.ts";
import {
  leavesAlone,
  type NormalizerPlan,
  normalize,
  normalizerSteps,
} from "../../src/tokenizer/normalizers/normalizer.ts";
import type { Part } from "../../src/tokenizer/tokenizer-json.ts";
import { everyScalar, GROUPS, scalarBlocks } from "./adversarial.ts";
import { FILES } from "./vectors.ts";

const expected: {
  readonly configs: Record<string, Part>;
  readonly scalars: Record<string, Record<string, string[]>>;
  readonly groups: Record<string, Record<string, string>>;
} = JSON.parse(readFileSync(`${FILES}normalizers.json`, "utf8"));

const CONTEXTS: Record<string, (scalar: string) => string> = {
  alone: (scalar) => scalar,
  between: (scalar) => `  aE${scalar}\u0301 `,
  before: (scalar) => `${scalar}\u0327\u0903`,
  twice: (scalar) => `\u0600${scalar}${scalar}\u0345`,
};
const PER_CHECKSUM = 1024; // documents of 32 scalar values
const LINE = Buffer.from("\n");

function plan(part: Part): NormalizerPlan {
  const steps = normalizerSteps(part);
  if (steps === undefined) throw new Error(`no steps for ${JSON.stringify(part)}`);
  return steps;
}

function checksum(texts: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  let first = true;
  for (const text of texts) {
    if (!first) hash.update(LINE);
    first = false;
    hash.update(text);
  }
  return hash.digest("hex").slice(0, 12);
}

/** Documents of scalar values below U+20000, those beyond which are looked at in one context only. */
const BELOW_PLANE_2 = (0x20000 - 0x800) / 32;

const documents = Object.fromEntries(
  Object.entries(CONTEXTS).map(([context, make]) => [
    context,
    everyScalar(make).slice(0, context === "alone" ? undefined : BELOW_PLANE_2),
  ]),
);

describe.each(Object.entries(expected.configs))("%s", (name, part) => {
  const steps = plan(part);
  it("makes of every scalar value what Hugging Face's makes", () => {
    for (const [context, texts] of Object.entries(documents)) {
      const all = expected.scalars[name]![context]!;
      for (const i of scalarBlocks(PER_CHECKSUM).filter((block) => block < all.length)) {
        const block = texts.slice(i * PER_CHECKSUM, (i + 1) * PER_CHECKSUM);
        const found = checksum(block.map((text) => normalize(steps, text)));
        expect({ context, block: i, found }).toEqual({ context, block: i, found: all[i] });
      }
    }
  });

  it("makes of adversarial documents what Hugging Face's makes", () => {
    const found = Object.fromEntries(
      Object.keys(expected.groups[name]!).map((group) => [
        group,
        checksum(GROUPS[group]!().map((document) => normalize(steps, toValidUtf8(document)))),
      ]),
    );
    expect(found).toEqual(expected.groups[name]);
  });

  it("changes nothing that it says it leaves alone", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "B", " ", "  ", "\n", "\t", "é", "\u0001", "~") }),
        (string) => {
          const text = Buffer.from(string);
          if (leavesAlone(steps, text, 0, text.length)) expect(normalize(steps, text)).toBe(text);
        },
      ),
    );
  });
});
