/**
 * Where bytes come from: one small interface over local files and object stores. Readers ask for ranges and never know
 * what is behind them.
 */

export interface FileStat {
  /** bytes */
  readonly size: number;
  /** changes when the content may have changed: times in nanoseconds and the inode of a local file, an etag for an object */
  readonly version: string;
}

/** Bytes start..end (exclusive) of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
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
   * @throws DoremiError missing-file, truncated, file-changed; of a remote file also no-permission, unavailable
   */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * The bytes from `start` on, in order, in chunks of about a MiB or a few.
   *
   * @param likelyEnd where the reader will probably stop: nothing behind it is fetched before it is asked for
   */
  stream(start?: number, end?: number, likelyEnd?: number): AsyncIterable<Uint8Array>;
  /** These ranges will be read, each from its start on: a storage that is far away fetches them ahead of the reader. */
  expect?(ranges: readonly ByteRange[]): void;
  close(): Promise<void>;
}

export interface Storage {
  stat(uri: string): Promise<FileStat>;
  /** @param known what `stat` said: an object is then not asked again, and must still be of this version when it is read */
  open(uri: string, known?: FileStat): Promise<RandomAccessFile>;
  /** Files that match a glob pattern, sorted by code unit. Hidden and `_`-prefixed names only where the pattern spells them. */
  list(pattern: string): Promise<string[]>;
}
