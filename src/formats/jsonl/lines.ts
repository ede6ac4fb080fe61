/**
 * Lines of a byte stream: only "\n" ends one. A line that crosses chunks is put together; one over the limit is an
 * error before it is.
 */

export class LineTooLong extends Error {
  /** 0-based, within the stream */
  readonly index: number;

  constructor(index: number, bytes: number) {
    super(`has more than ${bytes} bytes`);
    this.index = index;
  }
}

export interface Line {
  /** without the newline; valid until the next line is asked for */
  readonly bytes: Buffer;
  /** of its first byte, within the stream */
  readonly start: number;
}

const NEWLINE = 10;

/** @throws LineTooLong */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<Line[]> {
  let open: Uint8Array[] = [];
  let openBytes = 0;
  let index = 0;
  let position = 0;
  let start = 0;
  for await (const chunk of chunks) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Line[] = [];
    let at = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE, at)) {
      if (openBytes + end - at > maxLineBytes) throw new LineTooLong(index, maxLineBytes);
      const piece = buffer.subarray(at, end);
      lines.push({ bytes: openBytes === 0 ? piece : Buffer.concat([...open, piece]), start });
      open = [];
      openBytes = 0;
      at = end + 1;
      start = position + at;
      index++;
    }
    if (at < buffer.length) {
      openBytes += buffer.length - at;
      if (openBytes > maxLineBytes) throw new LineTooLong(index, maxLineBytes);
      open.push(buffer.subarray(at));
    }
    position += buffer.length;
    // Lines of a chunk travel together: an await for each would cost more than its parsing.
    if (lines.length > 0) yield lines;
  }
  if (openBytes > 0) yield [{ bytes: Buffer.concat(open), start }];
}
