/**
 * Tokens of a batch's texts under several tokenizers. Where rows share the texts of a dictionary, each entry that a row
 * has is counted once, and remembered for the next batch of the same dictionary.
 */
import type { TextBatch } from "../../formats/shard.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** The dictionary of the last batch, and what is known of its entries. */
interface CountedEntries {
  readonly offsets: Uint32Array;
  /** 1 where an entry is counted */
  readonly known: Uint8Array;
  /** one per tokenizer */
  readonly counts: readonly Uint32Array[];
}

export class TextCounts {
  readonly #tokenizers: readonly Tokenizer[];
  readonly #seconds: number[];
  #entries: CountedEntries | undefined;

  /** @param seconds spent in each tokenizer, added to */
  constructor(tokenizers: readonly Tokenizer[], seconds: number[]) {
    this.#tokenizers = tokenizers;
    this.#seconds = seconds;
  }

  /** For each tokenizer the tokens of text k of the batch; of entries, only of those that rows have. */
  of(batch: TextBatch): readonly Uint32Array[] {
    const { bytes, offsets } = batch;
    if (!batch.entries) return this.#count(bytes, offsets);
    if (this.#entries?.offsets !== offsets) {
      const size = offsets.length - 1;
      const counts = this.#tokenizers.map(() => new Uint32Array(size));
      this.#entries = { offsets, known: new Uint8Array(size), counts };
    }
    const { known, counts } = this.#entries;
    const fresh = freshEntries(batch, batch.entries, known);
    const texts = fresh.length === known.length ? batch : gather(bytes, offsets, fresh);
    this.#count(texts.bytes, texts.offsets).forEach((found, t) => {
      const kept = counts[t]!;
      fresh.forEach((entry, k) => {
        kept[entry] = found[k]!;
      });
    });
    return counts;
  }

  #count(bytes: Uint8Array, offsets: Uint32Array): Uint32Array[] {
    return this.#tokenizers.map((tokenizer, t) => {
      const counts = new Uint32Array(offsets.length - 1);
      const started = performance.now();
      tokenizer.count(bytes, offsets, counts);
      this.#seconds[t]! += (performance.now() - started) / 1000;
      return counts;
    });
  }
}

/** Entries of the batch's rows that were not known before, ascending; they are marked as known. */
function freshEntries({ rows, validity }: TextBatch, entries: Int32Array, known: Uint8Array): Int32Array {
  const fresh = new Int32Array(Math.min(rows, known.length));
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const entry = entries[row]!;
    if (validity?.[row] === 0 || known[entry]) continue;
    known[entry] = 1;
    fresh[count++] = entry;
  }
  return fresh.subarray(0, count).sort();
}

/** The texts of some entries, one after the other. */
function gather(bytes: Uint8Array, offsets: Uint32Array, entries: Int32Array): Pick<TextBatch, "bytes" | "offsets"> {
  const gathered = new Uint32Array(entries.length + 1);
  entries.forEach((entry, k) => {
    gathered[k + 1] = gathered[k]! + offsets[entry + 1]! - offsets[entry]!;
  });
  const texts = new Uint8Array(gathered[entries.length]!);
  entries.forEach((entry, k) => {
    texts.set(bytes.subarray(offsets[entry], offsets[entry + 1]), gathered[k]);
  });
  return { bytes: texts, offsets: gathered };
}
