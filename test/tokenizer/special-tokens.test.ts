import { describe, expect, it } from "vitest";
import { definePipeline } from "../../src/pipeline/load.ts";
import { prepare } from "../../src/pipeline/prepare.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { batch, REPOSITORY } from "./vectors.ts";

const TEXTS = [
  "a<|endoftext|>b",
  "<|endoftext|><|endoftext|>",
  " x <|fim_prefix|> y  <|fim_suffix|>\n\n<|endofprompt|>",
  "<|endoftext|",
  "  <|endoftext|>  ",
  "<|<|endoftext|>|>",
];

/** tiktoken 0.14.0, encode(text, allowed_special="all"), of each text. */
const PARSED: Record<string, number[][]> = {
  r50k: [
    [64, 50256, 65],
    [50256, 50256],
    [
      2124, 1279, 91, 69, 320, 62, 40290, 91, 29, 331, 220, 1279, 91, 69, 320, 62, 37333, 844, 91, 29, 198, 198, 27, 91,
      437, 1659, 16963, 457, 91, 29,
    ],
    [27, 91, 437, 1659, 5239, 91],
    [220, 220, 50256, 220, 220],
    [27, 91, 50256, 91, 29],
  ],
  p50k: [
    [64, 50256, 65],
    [50256, 50256],
    [
      2124, 1279, 91, 69, 320, 62, 40290, 91, 29, 331, 220, 1279, 91, 69, 320, 62, 37333, 844, 91, 29, 198, 198, 27, 91,
      437, 1659, 16963, 457, 91, 29,
    ],
    [27, 91, 437, 1659, 5239, 91],
    [50257, 50256, 50257],
    [27, 91, 50256, 91, 29],
  ],
  cl100k: [
    [64, 100257, 65],
    [100257, 100257],
    [865, 220, 100258, 379, 256, 100260, 271, 100276],
    [27, 91, 8862, 728, 428, 91],
    [256, 100257, 256],
    [27, 91, 100257, 91, 29],
  ],
  o200k: [
    [64, 199999, 65],
    [199999, 199999],
    [1215, 464, 91, 103473, 33197, 91, 29, 342, 220, 464, 91, 103473, 87556, 91, 3037, 200018],
    [27, 91, 419, 1440, 919, 91],
    [256, 199999, 256],
    [27, 91, 199999, 91, 29],
  ],
};

describe.each(Object.entries(PARSED))("%s", (name, parsed) => {
  const texts = TEXTS.map((text) => Buffer.from(text));

  it("parses special tokens where it is asked to, as tiktoken does, counting as it encodes", async () => {
    const tokenizer = await openTokenizer(await resolveTokenizer(name, ".", "parse"));
    expect(texts.map((text) => [...tokenizer.encode(text)])).toEqual(parsed);
    const { bytes, offsets, counts } = batch(texts);
    tokenizer.count(bytes, offsets, counts);
    expect([...counts]).toEqual(parsed.map(({ length }) => length));
  });

  it("takes them for text otherwise, and the two have different fingerprints", async () => {
    const text = await resolveTokenizer(name, ".");
    expect(text.specialTokens).toBe("text");
    const { vocabularySize, endOfText } = text;
    const ids = (await openTokenizer(text)).encode(Buffer.from("<|endoftext|>"));
    expect(ids.length).toBeGreaterThan(1);
    for (const id of ids) expect(id).not.toBe(endOfText);
    const parse = await resolveTokenizer(name, ".", "parse");
    expect(parse).toMatchObject({ vocabularySize, endOfText, specialTokens: "parse" });
    expect(parse.fingerprint).not.toBe(text.fingerprint);
  });
});

it("is one setting of a pipeline for all its tokenizers", async () => {
  const of = async (setting: object) => {
    const pipeline = await definePipeline(
      {
        version: 1,
        name: "parsed",
        output: "out",
        tokenizer: "r50k",
        count: { tokenizers: ["o200k"] },
        data: { files: ["a.jsonl"] },
        ...setting,
      },
      { base: REPOSITORY },
    );
    return (await prepare(pipeline)).countTokenizers.map(({ specialTokens }) => specialTokens);
  };
  expect(await of({ specialTokens: "parse" })).toEqual(["parse", "parse"]);
  expect(await of({})).toEqual(["text", "text"]);
  await expect(of({ specialTokens: "skip" })).rejects.toMatchObject({ kind: "bad-configuration" });
});
