/**
 * Documents that cannot be taken as they are stored: text that is not UTF-8, lines of JSON that hold no text. Each format
 * treats them alike: refused, left out (the row has no text, so that row numbers hold), or with U+FFFD for each maximal
 * invalid subsequence, as the WHATWG decoder has it.
 */
import { isUtf8 } from "node:buffer";
import { allValid, toValidUtf8 } from "../lib/utf8.ts";
import { badShard } from "./failure.ts";
import type { BadDocument, BadDocumentPolicy, TextBatch } from "./shard.ts";

const INVALID = "must be UTF-8, and has other bytes";

/** What else can be done, for the message of a refusal. */
export function policyRemedy(code: string): string {
  return `or set data.onBadDocument (of count --data: --on-bad-document) to skip${code === "invalid-utf8" ? " or replace" : ""}`;
}

/**
 * Batches of columns of text, which say themselves nothing of their encoding, as the policy has them.
 * @throws DoremiError invalid-utf8
 */
export async function* screened(
  batches: AsyncIterable<TextBatch>,
  policy: BadDocumentPolicy,
  place: { readonly file: string; readonly rowGroup: number },
): AsyncGenerator<TextBatch> {
  let texts: ScreenedTexts | undefined;
  for await (const batch of batches) {
    // Batches of one dictionary have the same offsets.
    if (!batch.entries || texts?.offsets !== batch.offsets) texts = screen(batch);
    yield texts.bad === null ? batch : withoutBad(batch, texts, policy, place);
  }
}

interface ScreenedTexts {
  readonly offsets: Uint32Array;
  /** 1 where a text is not UTF-8; null where all are */
  readonly bad: Uint8Array | null;
  /** of all texts, once they are asked for */
  replaced?: Pick<TextBatch, "bytes" | "offsets">;
}

function screen({ bytes, offsets }: TextBatch): ScreenedTexts {
  if (allValid(bytes, offsets)) return { offsets, bad: null };
  const bad = new Uint8Array(offsets.length - 1);
  for (let text = 0; text < bad.length; text++) {
    if (!isUtf8(bytes.subarray(offsets[text], offsets[text + 1]))) bad[text] = 1;
  }
  return { offsets, bad };
}

function withoutBad(
  batch: TextBatch,
  texts: ScreenedTexts,
  policy: BadDocumentPolicy,
  place: { readonly file: string; readonly rowGroup: number },
): TextBatch {
  const { rows, rowStart, entries, validity } = batch;
  const at: number[] = [];
  for (let row = 0; row < rows; row++) {
    // A row without a text may have an entry, or a place, of anything.
    if (validity?.[row] !== 0 && texts.bad![entries ? entries[row]! : row]) at.push(row);
  }
  if (at.length === 0) return batch;
  if (policy === "fail") {
    const message = `row ${rowStart + at[0]!} of it (from 0) ${INVALID}; convert it, ${policyRemedy("invalid-utf8")}`;
    throw badShard("invalid-utf8", place, message);
  }
  const outcome = policy === "skip" ? "skipped" : "replaced";
  const bad = at.map((row): BadDocument => ({ row: rowStart + row, outcome, code: "invalid-utf8", reason: INVALID }));
  if (policy === "replace") {
    texts.replaced ??= replaceBad(batch, texts.bad!);
    return { ...batch, ...texts.replaced, bad };
  }
  const kept = validity ? validity.slice(0, rows) : new Uint8Array(rows).fill(1);
  for (const row of at) kept[row] = 0;
  return { ...batch, validity: kept, bad };
}

function replaceBad({ bytes, offsets }: TextBatch, bad: Uint8Array): Pick<TextBatch, "bytes" | "offsets"> {
  const parts: Uint8Array[] = [];
  const replaced = new Uint32Array(offsets.length);
  for (let text = 0; text < bad.length; text++) {
    const stored = bytes.subarray(offsets[text], offsets[text + 1]);
    const part = bad[text] ? toValidUtf8(stored) : stored;
    parts.push(part);
    replaced[text + 1] = replaced[text]! + part.length;
  }
  return { bytes: Buffer.concat(parts), offsets: replaced };
}
