/** The counter cuts text into pieces by masks of whole windows; the pattern's own rules, one by one, are what it must equal. */
import asc from "assemblyscript/asc";
import { beforeAll, describe, expect, test } from "vitest";
import { PAGE_NUMBERS, unicodePages } from "../../src/tokenizer/unicode-classes.ts";
import { everyScalar, GROUPS } from "./adversarial.ts";

interface Compare {
  readonly memory: WebAssembly.Memory;
  allocClasses(pages: number): number;
  initPieces(): void;
  setPattern(family: number, maxDigits: number, bareWords: boolean): void;
  reserve(bytes: number): number;
  firstDifference(bytes: number): number;
}

const PATTERNS = [
  ["r50k", 0, 0xffffffff, false],
  ["cl100k", 1, 3, false],
  ["llama3", 2, 3, false],
  ["qwen2", 2, 1, false],
  ["o200k", 3, 3, false],
  ["tekken", 3, 1, true],
] as const;
const WINDOW = 4096;

let wasm: Compare;

beforeAll(async () => {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      "test/tokenizer/assembly/compare.ts",
      ...["--outFile", "compare.wasm", "-O1", "--noAssert", "--runtime", "stub", "--use", "abort="],
      ...["--enable", "simd", "--enable", "bulk-memory"],
    ],
    {
      writeFile: (name, contents) => {
        if (name.endsWith(".wasm")) binary = contents as Uint8Array<ArrayBuffer>;
      },
    },
  );
  if (error || !binary) throw new Error(`${stderr}${error?.message}`);
  wasm = new WebAssembly.Instance(await WebAssembly.compile(binary)).exports as unknown as Compare;
  const pages = unicodePages();
  const at = wasm.allocClasses((pages.length - PAGE_NUMBERS) >> 8);
  new Uint8Array(wasm.memory.buffer).set(pages, at);
  wasm.initPieces();
}, 60_000);

/** What stands about the first difference, for every pattern that has one. */
function differences(text: Uint8Array): string[] {
  const input = wasm.reserve(text.length);
  new Uint8Array(wasm.memory.buffer).set(text, input);
  return PATTERNS.flatMap(([name, family, maxDigits, bareWords]) => {
    wasm.setPattern(family, maxDigits, bareWords);
    const at = wasm.firstDifference(text.length);
    return at === -1 ? [] : [`${name} at ${at}: ${JSON.stringify(Buffer.from(text.subarray(at, at + 40)).toString())}`];
  });
}

describe("pieces by masks are those of the pattern's rules", () => {
  for (const [name, texts] of Object.entries(GROUPS)) {
    if (name === "invalidUtf8") continue; // is repaired before it comes here
    test(name, () => {
      for (const text of texts()) expect(differences(text)).toEqual([]);
    });
  }

  test("every scalar value between letters, spaces, symbols and digits", () => {
    for (const context of [
      (c: string) => `a${c}b `,
      (c: string) => ` ${c}B.${c}1`,
      (c: string) => `.${c}${c}e\n${c}/`,
    ]) {
      expect(differences(Buffer.concat(everyScalar(context)))).toEqual([]);
    }
  });

  test("whatever stands where one window ends and the next begins", () => {
    const joints = [
      "'re",
      "'ſ",
      "Don't",
      " \n\t x",
      "\r\n/",
      "1234567",
      "é",
      "语言",
      "\u3000",
      "“x",
      "HTMLElement",
      "ʰB",
      "e\u0301",
    ];
    const fillings = ["a", " ", ".", "1", "\n", "x ", "é", "\u3000"];
    for (const joint of joints) {
      for (const filling of fillings) {
        for (let before = -10; before <= 4; before++) {
          const start = filling.repeat(Math.ceil(WINDOW / Buffer.byteLength(filling))).slice(0, WINDOW + before);
          expect(differences(Buffer.from(`${start}${joint}${filling.repeat(9)}b${joint}`))).toEqual([]);
        }
      }
    }
  });
});
