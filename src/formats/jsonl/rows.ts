/**
 * Rows of a batch in the making, from lines of JSON: by bytes where the line is as lines nearly always are, through
 * JSON.parse where it is not, which also says what is wrong with it.
 */
import { isUtf8 } from "node:buffer";

import { BatchBuilder, NameDictionary } from "../batch.ts";
import type { BadDocument, BatchForm, ColumnSelection, ReadLimits, TextBatch } from "../shard.ts";
import { type Found, giveBack, type LineFinder, takeFinder } from "./find.ts";
import { BadLine, parseRecord, stringAt, valueAt } from "./record.ts";
import { KIND } from "./scanner.ts";

/** of a block; longer is only a single line */
const MAX_QUICK_BYTES = 16 << 20;

interface LineRow {
  readonly text: string | null;
  readonly domain: string | null;
  /** in the order of the extra columns */
  readonly extra: readonly unknown[];
}

export class RowCollector {
  readonly #columns: ColumnSelection;
  readonly #builder: BatchBuilder;
  readonly #names = new NameDictionary();
  readonly #finder: LineFinder;
  /** place of the open block's first byte */
  #base = 0;
  #domains: number[] = [];
  #extra: Map<string, unknown[]>;
  #bad: BadDocument[] = [];
  /** in the unit, of the row that comes next */
  #row = 0;
  /** the domain of the row before, as its line had it, and its index: rows of a domain come together */
  #lastDomain: Buffer = Buffer.alloc(0);
  #lastIndex = -1;

  constructor(unit: number, columns: ColumnSelection, limits: ReadLimits, form: BatchForm) {
    this.#columns = columns;
    this.#builder = new BatchBuilder(unit, limits, { expectedBytes: 1 << 20, form });
    this.#finder = takeFinder(columns.domain === undefined ? [columns.text] : [columns.text, columns.domain]);
    this.#extra = this.#emptyExtra();
  }

  /** Nothing is to be added any more. */
  close(): void {
    giveBack(this.#finder);
  }

  get count(): number {
    return this.#builder.rows;
  }

  get isFull(): boolean {
    return this.#builder.isFull;
  }

  /** Makes a block the one that `addQuickly` is about. @returns whether it can be */
  open(block: Buffer): boolean {
    // Extra values are of any type, and a decoder's memory need not grow for the rare huge line.
    if (this.#extra.size > 0 || block.length > MAX_QUICK_BYTES || !isUtf8(block)) return false;
    this.#base = this.#finder.scanner.open(block);
    return true;
  }

  /** The line that begins at `at` of the block. @returns where it ends; −1 where nothing was added and `add` must look */
  addQuickly(at: number): number {
    const place = this.#finder.line(this.#base + at);
    if (place === 0) return -1;
    const [text, domain] = this.#finder.found;
    if (domain) this.#domains.push(domain.kind === KIND.null ? -1 : this.#domainIndex(domain));
    this.#addText(text!);
    this.#row++;
    return place - this.#base;
  }

  /** @throws BadLine unless the columns say that such lines are left out */
  add(line: Buffer): void {
    let row: LineRow | undefined;
    try {
      row = this.#rowOf(line);
    } catch (error) {
      if (!(error instanceof BadLine) || this.#columns.onBadDocument !== "skip") throw error;
      row = { text: null, domain: null, extra: [] };
      this.#bad.push({ row: this.#row, outcome: "skipped", code: error.code, reason: error.message });
    }
    if (!row) return;
    const { text, domain, extra } = row;
    if (this.#columns.domain !== undefined) this.#domains.push(domain === null ? -1 : this.#names.indexOf(domain));
    for (const [i, values] of [...this.#extra.values()].entries()) values.push(extra[i] ?? null);
    if (text === null) this.#builder.appendNull();
    else this.#builder.appendString(text);
    this.#row++;
  }

  #rowOf(line: Buffer): LineRow | undefined {
    const parsed = parseRecord(line, this.#columns.onBadDocument === "replace");
    if (!parsed) return undefined;
    const { record, isReplaced } = parsed;
    const { text: textPath, domain: domainPath } = this.#columns;
    const strings = {
      text: stringAt(record, textPath),
      domain: domainPath === undefined ? null : stringAt(record, domainPath),
    };
    const extra = [...this.#extra.keys()].map((path) => valueAt(record, path));
    if (!isReplaced) return { ...strings, extra };
    const reason = "must be UTF-8, and has other bytes or half of a surrogate pair";
    this.#bad.push({ row: this.#row, outcome: "replaced", code: "invalid-utf8", reason });
    return {
      text: strings.text?.toWellFormed() ?? null,
      domain: strings.domain?.toWellFormed() ?? null,
      extra,
    };
  }

  take(): TextBatch {
    const domain = { names: this.#names.names.slice(), indices: Int32Array.from(this.#domains) };
    const extra = this.#extra;
    this.#domains = [];
    this.#extra = this.#emptyExtra();
    const bad = this.#bad;
    this.#bad = [];
    return {
      ...this.#builder.take(),
      ...(bad.length > 0 && { bad }),
      ...(this.#columns.domain !== undefined && { domain }),
      ...(extra.size > 0 && { extra }),
    };
  }

  #addText({ kind, start, end }: Found): void {
    if (kind === KIND.null) {
      this.#builder.appendNull();
      return;
    }
    const { scanner } = this.#finder;
    const inside = { start: start + 1, end: end - 1 };
    const text = kind === KIND.plainString ? inside : scanner.unescape(inside.start, inside.end);
    this.#builder.append(scanner.bytes, text.start, text.end);
  }

  #domainIndex({ start, end }: Found): number {
    const { bytes } = this.#finder.scanner;
    const length = this.#lastDomain.length;
    if (length === end - start && this.#lastDomain.compare(bytes, start, end) === 0) return this.#lastIndex;
    this.#lastDomain = Buffer.from(bytes.subarray(start, end));
    this.#lastIndex = this.#names.indexOf(JSON.parse(this.#lastDomain.toString("utf8")));
    return this.#lastIndex;
  }

  #emptyExtra(): Map<string, unknown[]> {
    return new Map((this.#columns.extra ?? []).map((path) => [path, []]));
  }
}
