/**
 * Rows of a batch in the making, from lines of JSON: by bytes where the line is as lines nearly always are, through
 * JSON.parse where it is not, which also says what is wrong with it.
 */
import { BatchBuilder, NameDictionary } from "../batch.ts";
import type { ColumnSelection, ReadLimits, TextBatch } from "../shard.ts";
import { type Found, LineFinder } from "./find.ts";
import { parseRecord, stringAt, valueAt } from "./record.ts";
import { KIND, unescapeInto } from "./scan.ts";

export class RowCollector {
  readonly #columns: ColumnSelection;
  readonly #builder: BatchBuilder;
  readonly #names = new NameDictionary();
  readonly #finder: LineFinder;
  #bytes: Buffer = Buffer.alloc(0);
  #domains: number[] = [];
  #extra: Map<string, unknown[]>;
  /** the domain of the row before, as its line had it, and its index: rows of a domain come together */
  #lastDomain: Buffer = Buffer.alloc(0);
  #lastIndex = -1;

  constructor(unit: number, columns: ColumnSelection, limits: ReadLimits) {
    this.#columns = columns;
    this.#builder = new BatchBuilder(unit, limits, Math.min(limits.batchBytes, 1 << 20));
    this.#finder = new LineFinder(columns.domain === undefined ? [columns.text] : [columns.text, columns.domain]);
    this.#extra = this.#emptyExtra();
  }

  get count(): number {
    return this.#builder.rows;
  }

  get isFull(): boolean {
    return this.#builder.isFull;
  }

  /** The bytes that `addQuickly` is about from now on: valid UTF-8. */
  open(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#finder.open(bytes);
  }

  /** The line that begins at `at`. @returns the position of its end; −1 where nothing was added and `add` must look */
  addQuickly(at: number): number {
    if (this.#extra.size > 0) return -1; // values of any type
    const end = this.#finder.line(at);
    if (end < 0) return -1;
    const [text, domain] = this.#finder.found;
    if (domain) this.#domains.push(domain.kind === KIND.null ? -1 : this.#domainIndex(domain));
    this.#addText(text!);
    return end;
  }

  /** @throws BadLine */
  add(line: Buffer): void {
    const record = parseRecord(line);
    if (!record) return;
    const text = stringAt(record, this.#columns.text);
    if (this.#columns.domain !== undefined) {
      const domain = stringAt(record, this.#columns.domain);
      this.#domains.push(domain === null ? -1 : this.#names.indexOf(domain));
    }
    for (const [path, values] of this.#extra) values.push(valueAt(record, path) ?? null);
    if (text === null) this.#builder.appendNull();
    else this.#builder.appendString(text);
  }

  take(): TextBatch {
    const domain = { names: this.#names.names.slice(), indices: Int32Array.from(this.#domains) };
    const extra = this.#extra;
    this.#domains = [];
    this.#extra = this.#emptyExtra();
    return {
      ...this.#builder.take(),
      ...(this.#columns.domain !== undefined && { domain }),
      ...(extra.size > 0 && { extra }),
    };
  }

  #addText({ kind, start, end }: Found): void {
    if (kind === KIND.null) this.#builder.appendNull();
    else if (kind === KIND.plainString) this.#builder.append(this.#bytes, start + 1, end - 1);
    else {
      this.#builder.appendWith(end - start - 2, (out, at) => unescapeInto(this.#bytes, start + 1, end - 1, out, at));
    }
  }

  #domainIndex({ start, end }: Found): number {
    const length = this.#lastDomain.length;
    if (length === end - start && this.#lastDomain.compare(this.#bytes, start, end) === 0) return this.#lastIndex;
    this.#lastDomain = Buffer.from(this.#bytes.subarray(start, end));
    this.#lastIndex = this.#names.indexOf(JSON.parse(this.#lastDomain.toString("utf8")));
    return this.#lastIndex;
  }

  #emptyExtra(): Map<string, unknown[]> {
    return new Map((this.#columns.extra ?? []).map((path) => [path, []]));
  }
}
