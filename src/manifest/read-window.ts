/**
 * Reads documents that were shuffled one by one: some of the selection ahead, each shard of it in the order of its rows,
 * then the documents in theirs. A row group is decoded once in every window that has a document of it, so reading a
 * corpus of many windows costs up to so many times as much as reading its shards; `doremi materialize` shuffles once, on
 * disk, and what it writes is read at the speed of the disk.
 */
import { type ManifestDocument, manifestDocument, type ReadContext } from "./document.ts";
import type { PartRun } from "./read-part.ts";
import { ShardCursor } from "./shard-cursor.ts";

/** What a document takes beside its text: its places in the arrays below. */
const DOCUMENT_BYTES = 64;

export async function* readWindows(
  runs: AsyncIterable<PartRun>,
  context: ReadContext,
): AsyncGenerator<ManifestDocument, void> {
  for await (const window of windowsOf(runs, context)) {
    const texts = await readWindow(window, context);
    let slot = 0;
    for (const run of window.runs) {
      for (let row = run.rowStart; row < run.rowEnd; row++) {
        context.signal?.throwIfAborted();
        yield manifestDocument(context, run, row, texts.at(slot++));
      }
    }
  }
}

/** Consecutive documents of the part. */
interface Window {
  readonly runs: readonly PartRun[];
  readonly documents: number;
}

/** The runs cut into windows of about `windowBytes`, as the manifest's means say, with a document at least in each. */
async function* windowsOf(
  runs: AsyncIterable<PartRun>,
  { manifest, windowBytes }: ReadContext,
): AsyncGenerator<Window, void> {
  const bytesPerToken = manifest.domains.map(({ bytes, tokens }) => (tokens === 0 ? 0 : bytes / tokens));
  let window: PartRun[] = [];
  let documents = 0;
  let room = windowBytes;
  for await (const whole of runs) {
    const documentBytes = DOCUMENT_BYTES + whole.meanTokens * bytesPerToken[whole.domain]!;
    let run = whole;
    for (;;) {
      const count = run.rowEnd - run.rowStart;
      const fits = Math.max(documents === 0 ? 1 : 0, Math.floor(room / documentBytes));
      if (count <= fits) {
        window.push(run);
        documents += count;
        room -= count * documentBytes;
        break;
      }
      if (fits > 0) window.push({ ...run, rowEnd: run.rowStart + fits });
      yield { runs: window, documents: documents + fits };
      run = behind(run, fits);
      window = [];
      documents = 0;
      room = windowBytes;
    }
  }
  if (documents > 0) yield { runs: window, documents };
}

/** The run without its first documents. */
function behind(run: PartRun, documents: number): PartRun {
  return {
    ...run,
    rowStart: run.rowStart + documents,
    position: run.position + documents,
    offset: run.offset + documents,
  };
}

async function readWindow({ runs, documents }: Window, { shards, signal }: ReadContext): Promise<Texts> {
  const file = new Uint32Array(documents);
  const row = new Float64Array(documents);
  let slot = 0;
  for (const run of runs) {
    for (let at = run.rowStart; at < run.rowEnd; at++) {
      file[slot] = run.file;
      row[slot++] = at;
    }
  }
  const order = Uint32Array.from(file.keys()).sort((a, b) => file[a]! - file[b]! || row[a]! - row[b]!);
  const texts = new Texts(documents);
  let cursor: ShardCursor | null = null;
  let before = -1; // slot of the document before
  try {
    for (const slot of order) {
      signal?.throwIfAborted();
      if (before < 0 || file[before] !== file[slot]) {
        await cursor?.close();
        cursor = new ShardCursor(await shards.open(file[slot]!));
      } else if (row[before] === row[slot]) {
        texts.repeat(slot, before); // in another epoch
        continue;
      }
      texts.put(slot, cursor!.take(row[slot]!) ?? (await cursor!.load(row[slot]!)));
      before = slot;
    }
  } finally {
    await cursor?.close();
  }
  return texts;
}

const SLAB_BYTES = 1 << 20;

/** Texts by slot, in memory of their own: kept as views of their batches, they would keep all of the shards' texts. */
class Texts {
  readonly #slabs: Uint8Array[] = [];
  readonly #slab: Uint32Array;
  readonly #start: Uint32Array;
  readonly #length: Uint32Array;
  #used = SLAB_BYTES; // of the last slab

  constructor(slots: number) {
    this.#slab = new Uint32Array(slots);
    this.#start = new Uint32Array(slots);
    this.#length = new Uint32Array(slots);
  }

  put(slot: number, text: Uint8Array): void {
    if (this.#used + text.length > (this.#slabs.at(-1)?.length ?? 0)) {
      this.#slabs.push(new Uint8Array(Math.max(SLAB_BYTES, text.length)));
      this.#used = 0;
    }
    this.#slabs.at(-1)!.set(text, this.#used);
    this.#slab[slot] = this.#slabs.length - 1;
    this.#start[slot] = this.#used;
    this.#length[slot] = text.length;
    this.#used += text.length;
  }

  /** Gives a slot the text of another. */
  repeat(slot: number, of: number): void {
    for (const column of [this.#slab, this.#start, this.#length]) column[slot] = column[of]!;
  }

  at(slot: number): Uint8Array {
    const start = this.#start[slot]!;
    return this.#slabs[this.#slab[slot]!]!.subarray(start, start + this.#length[slot]!);
  }
}
