/**
 * The first half of the shuffle: reads the selected documents of some source units, each once however often it is
 * selected, turns them into what the format writes, counts their tokens, and spills them by position.
 */

import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError, withPlace } from "../../lib/errors.ts";
import { sha256File } from "../../lib/hash.ts";
import { openOnce } from "../../tokenizer/open.ts";
import type { Tokenizer, TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import { readDocuments, type UnitSource } from "../documents.ts";
import { asWorker } from "../pool.ts";
import { planAt, type Totals } from "./plan.ts";
import { type BucketRuns, readBucket } from "./runs.ts";
import { type SpillFile, SpillWriter, spilledIdBytes } from "./spill.ts";

/** A unit of a file, or several that the manifest takes for one: stretches of a JSONL file. */
export interface SourceUnit {
  readonly unit: number;
  /** in the file */
  readonly rowStart: number;
  readonly parts: readonly UnitSource[];
}

export interface SourceFile {
  /** index in the manifest */
  readonly file: number;
  readonly path: string;
  /** to be compared with the file's; null where another task does */
  readonly sha256: string | null;
  readonly units: readonly SourceUnit[];
}

export interface ReadTask {
  readonly plan: { readonly path: string; readonly key: string };
  readonly runs: string;
  readonly bucket: number;
  readonly sources: readonly SourceFile[];
  readonly tokenizer: TokenizerDescriptor;
  readonly content: "text" | "ids";
  readonly arenaBytes: number;
  readonly spill: Omit<SpillFile, "runs">;
  /** file that says that this is done; written last */
  readonly mark: string;
}

/** What the mark holds. */
export interface ReadMark {
  /** of the spill file */
  readonly runs: number;
  readonly totals: Totals;
}

export default asWorker(async (task: ReadTask): Promise<ReadMark> => {
  const plan = await planAt(task.plan.path, task.plan.key);
  const bucket = plan.buckets[task.bucket]!;
  const runs = readBucket(task.runs, bucket);
  const tokenizer = await openOnce(task.tokenizer);
  const spill = new SpillWriter(task.spill, Float64Array.from(plan.boundaries), task.arenaBytes);
  const documents = new Array<number>(plan.domains.length).fill(0);
  const tokens = new Array<number>(plan.domains.length).fill(0);
  const convert = converter(tokenizer, task.content);
  try {
    let next = 0; // run
    for (const { file, path, sha256, units } of task.sources) {
      if (sha256 !== null && (await sha256File(path)) !== sha256) throw changed(path, "its SHA-256 differs");
      for (const unit of units) {
        const end = endOfUnit(runs, next);
        for await (const { run, row, content, count } of unitDocuments(unit, path, runs, next, end, convert)) {
          documents[runs.domain[run]!]! += 1;
          tokens[runs.domain[run]!]! += count;
          spill.add({
            position: runs.position[run]! + (row - runs.rowStart[run]!),
            file,
            row,
            domain: runs.domain[run]!,
            epoch: runs.epoch[run]!,
            tokens: count,
            content,
          });
        }
        next = end;
      }
    }
    spill.finish();
  } catch (error) {
    spill.close();
    throw error;
  }
  const mark: ReadMark = { runs: spill.runs, totals: { documents, tokens } };
  await writeFileAtomic(task.mark, JSON.stringify(mark));
  return mark;
});

/** First run behind those of the unit that the run `first` is of. */
function endOfUnit({ unit, count }: BucketRuns, first: number): number {
  let end = first;
  while (end < count && unit[end] === unit[first]) end++;
  return end;
}

interface Converted {
  /** a view until the next is converted */
  readonly content: Uint8Array;
  /** tokens */
  readonly count: number;
}

type Convert = (bytes: Uint8Array) => Converted;

/** From a document's text to what is spilled of it, and its tokens. */
function converter(tokenizer: Tokenizer, content: "text" | "ids"): Convert {
  if (content === "text") {
    const counts = new Uint32Array(1);
    const offsets = new Uint32Array(2);
    return (bytes) => {
      offsets[1] = bytes.length;
      tokenizer.count(bytes, offsets, counts);
      return { content: bytes, count: counts[0]! };
    };
  }
  const narrow = spilledIdBytes(tokenizer.descriptor.vocabularySize) === 2;
  return (bytes) => {
    const ids = tokenizer.encode(bytes);
    const stored = narrow ? Uint16Array.from(ids) : ids;
    return { content: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), count: ids.length };
  };
}

interface SelectedDocument extends Converted {
  /** that selects it */
  readonly run: number;
  /** in the file */
  readonly row: number;
}

/** The documents of a unit that the runs first..end select, once for each. Runs may lie over each other. */
async function* unitDocuments(
  { rowStart, parts }: SourceUnit,
  path: string,
  runs: BucketRuns,
  first: number,
  end: number,
  convert: Convert,
): AsyncGenerator<SelectedDocument> {
  const open: { run: number; tokens: number }[] = [];
  let next = first;
  let expected = runs.rowStart[first]!; // row
  let base = rowStart;
  for (const source of parts) {
    const read = { rows: 0 };
    for await (const { row, batch } of placed(readDocuments(source, read), path, source)) {
      for (const i of ascending(row)) {
        const at = base + row[i]!;
        if (at < expected) continue;
        if (at > expected || batch.validity?.[i] === 0) throw missing(path, expected);
        for (; next < end && runs.rowStart[next] === at; next++) open.push({ run: next, tokens: 0 });
        const converted = convert(batch.bytes.subarray(batch.offsets[i]!, batch.offsets[i + 1]!));
        for (let o = open.length - 1; o >= 0; o--) {
          const { run } = open[o]!;
          open[o]!.tokens += converted.count;
          yield { ...converted, run, row: at };
          if (at + 1 < runs.rowStart[run]! + runs.rows[run]!) continue;
          if (open[o]!.tokens !== runs.tokens[run]) throw miscounted(path, runs, run, open[o]!.tokens);
          open.splice(o, 1);
        }
        if (open.length > 0) expected = at + 1;
        else if (next < end) expected = runs.rowStart[next]!;
        else return;
      }
    }
    base += read.rows;
  }
  throw missing(path, expected);
}

/** Names the file and the row group in what reading throws. */
async function* placed<T>(documents: AsyncIterable<T>, file: string, { unit }: UnitSource): AsyncGenerator<T> {
  try {
    yield* documents;
  } catch (error) {
    throw withPlace(error, { file, rowGroup: unit.index });
  }
}

/** Indices of the rows in ascending order of the rows: a transform may hand them on in another. */
function ascending(row: Uint32Array): Uint32Array {
  const order = Uint32Array.from(row.keys());
  return row.some((value, i) => i > 0 && value < row[i - 1]!) ? order.sort((a, b) => row[a]! - row[b]!) : order;
}

function missing(path: string, row: number): DoremiError {
  return changed(path, `row ${row}, which is selected, has no text`);
}

function miscounted(path: string, runs: BucketRuns, run: number, found: number): DoremiError {
  const start = runs.rowStart[run]!;
  const rows = runs.rows[run] === 1 ? `row ${start}` : `rows ${start} to ${start + runs.rows[run]! - 1}`;
  return changed(path, `${rows}: ${runs.tokens[run]} tokens were counted, and now there are ${found}`);
}

function changed(path: string, found: string): DoremiError {
  return new DoremiError(
    "bad-data",
    "changed-file",
    `${path}: is not the file that the manifest was made from (${found}); bring the file back, or write the manifest anew ` +
      "with `doremi resample`; `doremi verify` says what else differs",
    { file: path },
  );
}
