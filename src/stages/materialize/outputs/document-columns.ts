/**
 * Documents gathered as columns, for formats that write a stretch of rows at a time: text, domain, epoch, source, row,
 * tokens. The texts stay bytes, one behind the other in memory that is used again.
 */
import { toValidUtf8 } from "../../../lib/utf8.ts";
import type { OutputDocument, OutputShardWriter } from "../output-format.ts";

/** Of a stretch; one document may be longer. Readers hold a stretch in memory, and so does every worker that writes. */
const STRETCH_BYTES = 8 << 20;
const STRETCH_ROWS = 1 << 16;

/** A shard that is written a stretch at a time: `flush` what is gathered, then `commit` or `discard` the file. */
export function stretchWriter(
  columns: DocumentColumns,
  file: string,
  { flush, commit, discard }: { flush(): Promise<void>; commit(): Promise<void>; discard(): Promise<void> },
): OutputShardWriter {
  const next = async () => {
    await flush();
    columns.clear();
  };
  return {
    async write(document) {
      if (!columns.hasRoomFor(document.text.length)) await next();
      columns.add(document);
    },
    async finish() {
      if (columns.rows > 0) await next();
      await commit();
      return [file];
    },
    discard,
  };
}

export class DocumentColumns {
  rows = 0;
  readonly domain: string[] = [];
  readonly epoch = new Int32Array(STRETCH_ROWS);
  readonly source: string[] = [];
  readonly row = new BigInt64Array(STRETCH_ROWS);
  readonly tokens = new Int32Array(STRETCH_ROWS);
  /** where each text begins in `text`, and the end of the last */
  readonly textOffsets = new Int32Array(STRETCH_ROWS + 1);
  text = Buffer.allocUnsafeSlow(1 << 20);

  /** False where it has to be written and cleared before another document, of so many bytes, comes in. */
  hasRoomFor(bytes: number): boolean {
    if (this.rows === 0) return true;
    return this.rows < STRETCH_ROWS && this.textOffsets[this.rows]! + bytes <= STRETCH_BYTES;
  }

  add({ domain, epoch, file, row, tokens, text: maybeInvalid }: OutputDocument): void {
    // Tokenizers read U+FFFD where a text is no UTF-8, and readers of strings refuse anything else.
    const text = toValidUtf8(maybeInvalid);
    const start = this.textOffsets[this.rows]!;
    const end = start + text.length;
    if (end > this.text.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, Math.min(this.text.length * 2, STRETCH_BYTES)));
      larger.set(this.text.subarray(0, start));
      this.text = larger;
    }
    this.text.set(text, start);
    this.domain.push(domain);
    this.epoch[this.rows] = epoch;
    this.source.push(file);
    this.row[this.rows] = BigInt(row);
    this.tokens[this.rows] = tokens;
    this.rows += 1;
    this.textOffsets[this.rows] = end;
  }

  clear(): void {
    this.rows = 0;
    this.domain.length = 0;
    this.source.length = 0;
  }
}
