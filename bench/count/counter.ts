/**
 * Counts all documents of a text file twice, in one thread and from memory, by our counter or by gpt-tokenizer. A
 * program of its own, so that every run starts with empty caches. Prints one line of JSON.
 *
 *   counter.ts doremi|gpt-tokenizer VOCABULARY TEXT INDEX
 */
import { readFileSync } from "node:fs";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { TextIndex } from "./corpus.ts";

const [counter, vocabulary, textPath, indexPath] = process.argv.slice(2) as [string, string, string, string];
const bytes = readFileSync(textPath);
const { lengths }: TextIndex = JSON.parse(readFileSync(indexPath, "utf8"));
const offsets = new Uint32Array(lengths.length + 1);
lengths.forEach((length, i) => {
  offsets[i + 1] = offsets[i]! + length;
});

const started = performance.now();
const count = counter === "doremi" ? await doremi() : await gptTokenizer();
const loadSeconds = (performance.now() - started) / 1000;
const passes = [count(), count()];
console.log(
  JSON.stringify({
    loadSeconds,
    seconds: passes.map((pass) => pass.seconds),
    tokens: passes.map((pass) => pass.tokens),
  }),
);

type Pass = () => { seconds: number; tokens: number };

async function doremi(): Promise<Pass> {
  const tokenizer = await openTokenizer(await resolveTokenizer(vocabulary, "."));
  const counts = new Uint32Array(lengths.length);
  return timed(() => {
    tokenizer.count(bytes, offsets, counts);
    return counts.reduce((sum, tokens) => sum + tokens, 0);
  });
}

async function gptTokenizer(): Promise<Pass> {
  const { countTokens } = await import(`gpt-tokenizer/encoding/${vocabulary}_base`);
  const texts = lengths.map((length, i) => bytes.toString("utf8", offsets[i], offsets[i]! + length));
  // text of special tokens is an error to it unless told otherwise, which makes every call slower
  const asText = { disallowedSpecial: new Set() };
  return timed(() =>
    texts.reduce((sum, text) => sum + (text.includes("<|") ? countTokens(text, asText) : countTokens(text)), 0),
  );
}

function timed(work: () => number): Pass {
  return () => {
    const start = performance.now();
    const tokens = work();
    return { seconds: (performance.now() - start) / 1000, tokens };
  };
}
