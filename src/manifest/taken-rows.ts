/**
 * Which rows of which files were taken in each epoch: a bit for each, in pages that exist only where something was taken,
 * 12.5 MB for 100 million documents of an epoch. A row has one domain, so domains need not be told apart.
 */
const PAGE_ROWS = 4096;
/** Half a GiB: four thousand million rows, of all epochs together. */
const MAX_PAGES = 1 << 20;

export class TakenRows {
  /** whether a row was left out because there are too many; what was noted before is known still */
  full = false;
  /** first page of each file */
  readonly #firstPage: Float64Array;
  readonly #epochs = new Map<number, Map<number, Uint32Array>>();
  readonly #maxPages: number;
  #pages = 0;

  constructor(files: readonly { readonly rows: number }[], maxPages = MAX_PAGES) {
    this.#maxPages = maxPages;
    this.#firstPage = new Float64Array(files.length + 1);
    for (const [i, { rows }] of files.entries()) {
      this.#firstPage[i + 1] = this.#firstPage[i]! + Math.ceil(rows / PAGE_ROWS);
    }
  }

  /** Notes rows of a file, which lie inside it. @returns whether one of them was taken before in this epoch */
  take(file: number, epoch: number, rowStart: number, rowEnd: number): boolean {
    let pages = this.#epochs.get(epoch);
    if (pages === undefined) {
      pages = new Map();
      this.#epochs.set(epoch, pages);
    }
    let repeated = false;
    for (let row = rowStart; row < rowEnd; ) {
      const number = Math.floor(row / PAGE_ROWS);
      const end = Math.min(rowEnd, (number + 1) * PAGE_ROWS);
      const key = this.#firstPage[file]! + number;
      let page = pages.get(key);
      if (page === undefined) {
        if (this.#pages === this.#maxPages) {
          this.full = true;
          return repeated;
        }
        this.#pages += 1;
        page = new Uint32Array(PAGE_ROWS / 32);
        pages.set(key, page);
      }
      for (let at = row - number * PAGE_ROWS; row < end; row++, at++) {
        const bit = 1 << (at & 31);
        if ((page[at >> 5]! & bit) !== 0) repeated = true;
        page[at >> 5]! |= bit;
      }
    }
    return repeated;
  }
}
