/** A tokenizer.json's list of merges as ids. */
import type { Strings, TokenTable } from "./token-table.ts";
import { textAt } from "./token-table.ts";
import { bad } from "./tokenizer-json.ts";

/**
 * Left id, right id and resulting id of each merge, by priority. A merge that has a token which text never becomes is
 * left out, which keeps the others' order.
 * @throws DoremiError bad-tokenizer where a merge has no token
 */
export function mergeIds(
  vocab: TokenTable,
  merges: Strings,
  isReachable: (id: number) => boolean,
  path: string,
): Uint32Array {
  const { bytes, ends } = merges;
  const count = (ends.length - 1) / 2;
  const triples = new Uint32Array(count * 3);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const start = ends[2 * i]!;
    const middle = ends[2 * i + 1]!;
    const end = ends[2 * i + 2]!;
    const left = vocab.idOfBytes(bytes, start, middle);
    const right = vocab.idOfBytes(bytes, middle, end);
    const result = vocab.idOfBytes(bytes, start, end); // the parts lie one behind the other
    if (left === undefined || right === undefined || result === undefined) {
      const missing = left === undefined ? textAt(merges, 2 * i) : textAt(merges, 2 * i + 1);
      const lacks = left === undefined || right === undefined ? missing : textAt(merges, 2 * i) + missing;
      throw bad(
        path,
        `every merge needs its parts and its result in model.vocab, and merges[${i}] lacks ${JSON.stringify(lacks)}`,
      );
    }
    if (!isReachable(left) || !isReachable(right) || !isReachable(result)) continue;
    triples[3 * kept] = left;
    triples[3 * kept + 1] = right;
    triples[3 * kept + 2] = result;
    kept++;
  }
  return triples.subarray(0, 3 * kept);
}
