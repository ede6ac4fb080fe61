/** How the files of a corpus are divided among tasks, as plain data: consecutive ranges of about as many bytes. Pure. */

/** The index-th (from 0) of so many parts. */
export interface Part {
  readonly index: number;
  readonly of: number;
}

/**
 * The part's files, start..end (exclusive): the parts of every number follow each other from the first file to the last.
 * A file belongs to the part that its middle byte falls into, so a part holds its share of the bytes within one file; of
 * more parts than files, some hold nothing.
 *
 * @param sizes of all files in their order
 */
export function rangeOf(sizes: readonly number[], { index, of }: Part): { start: number; end: number } {
  return { start: boundary(sizes, index, of), end: boundary(sizes, index + 1, of) };
}

/** So many files lie before the part. */
function boundary(sizes: readonly number[], part: number, of: number): number {
  if (part >= of) return sizes.length;
  const weights = sizes.map((size) => size + 1); // an empty file is a file
  const share = (weights.reduce((sum, weight) => sum + weight, 0) * part) / of;
  let before = 0;
  const first = weights.findIndex((weight) => {
    before += weight;
    return before - weight / 2 >= share;
  });
  return first < 0 ? sizes.length : first;
}
