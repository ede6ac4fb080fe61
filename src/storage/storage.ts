/**
 * Where bytes come from: one small interface over local files, later over object stores. Readers ask for ranges and
 * never know what is behind them.
 */

export interface FileStat {
  /** bytes */
  readonly size: number;
  /** changes when the content may have changed: times in nanoseconds and the inode of a local file, an etag for an object */
  readonly version: string;
}

/** A file opened for random access. Close it; `await using` works too. */
export interface RandomAccessFile {
  readonly uri: string;
  /** bytes */
  readonly size: number;
  /**
   * Bytes start..end (exclusive), clipped to the file's end.
   *
   * @param into memory to read into, where it is large enough; a storage may leave it aside
   * @throws DoremiError missing-file, truncated
   */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /** The bytes from `start` on, in order, in chunks of about a MiB. */
  stream(start?: number, end?: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface Storage {
  stat(uri: string): Promise<FileStat>;
  open(uri: string): Promise<RandomAccessFile>;
  /** Files that match a glob pattern, sorted by code unit. Hidden and `_`-prefixed names only where the pattern spells them. */
  list(pattern: string): Promise<string[]>;
}
