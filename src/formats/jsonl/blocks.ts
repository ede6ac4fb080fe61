/**
 * Whole lines of a byte stream, many at a time: a block is what of a chunk are whole lines, or the one line that crosses
 * chunks, put together. Only "\n" ends a line. One over the limit is an error before it is put together.
 */

export class LineTooLong extends Error {
  constructor(bytes: number) {
    super(`has more than ${bytes} bytes`);
  }
}

export interface Block {
  /** lines with their newlines; only the stream's last line may be without */
  readonly bytes: Buffer;
  /** of the first byte, within the stream */
  readonly start: number;
}

const NEWLINE = 10;

/** @throws LineTooLong for the line after the blocks before, if it crosses chunks */
export async function* blocksOf(chunks: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<Block> {
  let open: Uint8Array[] = [];
  let openBytes = 0;
  let position = 0; // of the chunk's first byte
  for await (const chunk of chunks) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    if (openBytes > 0) {
      at = buffer.indexOf(NEWLINE) + 1;
      const piece = buffer.subarray(0, at > 0 ? at : buffer.length);
      open.push(piece);
      openBytes += piece.length;
      if (openBytes - (at > 0 ? 1 : 0) > maxLineBytes) throw new LineTooLong(maxLineBytes);
      if (at > 0) {
        yield { bytes: Buffer.concat(open), start: position + at - openBytes };
        open = [];
        openBytes = 0;
      } else at = buffer.length;
    }
    const end = Math.max(at, buffer.lastIndexOf(NEWLINE) + 1);
    if (end > at) yield { bytes: buffer.subarray(at, end), start: position + at };
    if (end < buffer.length) {
      open = [buffer.subarray(end)];
      openBytes = buffer.length - end;
      if (openBytes > maxLineBytes) throw new LineTooLong(maxLineBytes);
    }
    position += buffer.length;
  }
  if (openBytes > 0) yield { bytes: Buffer.concat(open), start: position - openBytes };
}
