/**
 * A user's transform between reading and counting: Arrow batch in, Arrow batch out, run in the workers. It may filter,
 * clean or relabel; it may not repeat a row, because the manifest selects rows of the shards.
 *
 * The batch has the columns `row` (uint32, within the row group), `text` (utf8), `domain` (utf8, null where there is
 * none) and those that the pipeline file asks for under `columns`; the result needs the first three.
 */
import * as arrow from "apache-arrow";
import type { TextBatch } from "../formats/shard.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { importModule } from "../lib/import-module.ts";
import type { TransformReference } from "./count/contract.ts";

export interface TransformContext {
  /** the apache-arrow module that made the batch, so that a plug-in needs no dependency of its own */
  readonly arrow: typeof arrow;
  /** from the pipeline file */
  readonly options: Readonly<Record<string, unknown>>;
  /** path of the shard */
  readonly file: string;
}

/** What a transform module exports as default. Null drops the whole batch. */
export type Transform = (
  batch: arrow.RecordBatch,
  context: TransformContext,
) => arrow.RecordBatch | arrow.Table | null | Promise<arrow.RecordBatch | arrow.Table | null>;

/** Rows that came through, with the row that each was; `domain` is always present. */
export interface TransformedBatch {
  /** row within the unit of each row here */
  readonly row: Uint32Array;
  readonly batch: TextBatch;
}

/** The module as its hash says that it is, also where an earlier state of it was loaded before. */
export async function loadTransform({
  module,
  sha256,
}: Pick<TransformReference, "module" | "sha256">): Promise<Transform> {
  let exports: { default?: unknown };
  try {
    exports = await importModule(module, sha256);
  } catch (error) {
    throw new DoremiError(
      "bad-configuration",
      "bad-plugin",
      `transform ${module}: cannot be loaded: ${error instanceof Error ? error.message : error}`,
      { file: module, cause: error },
    );
  }
  if (typeof exports.default !== "function") {
    throw new DoremiError(
      "bad-configuration",
      "bad-plugin",
      `transform ${module}: its default export must be a function (batch, context) => batch, found ${typeof exports.default}`,
      { file: module },
    );
  }
  return exports.default as Transform;
}

/** @param domain the domain of every row, where no column says it */
export async function applyTransform(
  transform: Transform,
  batch: TextBatch,
  context: TransformContext,
  domain: string | null,
): Promise<TransformedBatch> {
  let result: arrow.RecordBatch | arrow.Table | null;
  try {
    result = await transform(toRecordBatch(batch, domain), context);
  } catch (error) {
    throw new DoremiError(
      "bad-configuration",
      "transform-failed",
      `transform failed on ${context.file}, row group ${batch.unit}: ${error instanceof Error ? error.message : error}`,
      { file: context.file, rowGroup: batch.unit, cause: error },
    );
  }
  return fromArrow(result, batch, context.file);
}

/** Zero-copy for text and offsets. */
function toRecordBatch(batch: TextBatch, domain: string | null): arrow.RecordBatch {
  const { rows } = batch;
  const row = Uint32Array.from({ length: rows }, (_, i) => batch.rowStart + i);
  const nullBitmap = batch.validity ? packBits(batch.validity) : undefined;
  const text = arrow.makeData({
    type: new arrow.Utf8(),
    length: rows,
    nullCount: batch.validity ? batch.validity.reduce((n, valid) => n + (valid ? 0 : 1), 0) : 0,
    ...(nullBitmap && { nullBitmap }),
    valueOffsets: new Int32Array(batch.offsets.buffer, batch.offsets.byteOffset, batch.offsets.length),
    data: batch.bytes,
  });
  const names = batch.domain?.names ?? (domain === null ? [] : [domain]);
  const indices = batch.domain?.indices ?? new Int32Array(rows).fill(domain === null ? -1 : 0);
  const domains = arrow.vectorFromArray(
    Array.from(indices, (index) => (index < 0 ? null : names[index]!)),
    new arrow.Utf8(),
  ).data[0]!;
  const extra = [...(batch.extra ?? [])].map(([name, values]) => ({
    name,
    data: (values instanceof arrow.Vector ? values : arrow.vectorFromArray(Array.from(values))).data[0] as arrow.Data,
  }));
  const schema = new arrow.Schema([
    new arrow.Field("row", new arrow.Uint32(), false),
    new arrow.Field("text", new arrow.Utf8(), true),
    new arrow.Field("domain", new arrow.Utf8(), true),
    ...extra.map(({ name, data }) => new arrow.Field(name, data.type, true)),
  ]);
  const children = [
    arrow.makeData({ type: new arrow.Uint32(), length: rows, nullCount: 0, data: row }),
    text,
    domains,
    ...extra.map(({ data }) => data),
  ];
  return new arrow.RecordBatch(
    schema,
    arrow.makeData({ type: new arrow.Struct(schema.fields), length: rows, nullCount: 0, children }),
  );
}

function packBits(validity: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(validity.length / 8));
  for (let i = 0; i < validity.length; i++) if (validity[i]) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

function fromArrow(result: arrow.RecordBatch | arrow.Table | null, before: TextBatch, file: string): TransformedBatch {
  const fault = (code: ErrorCode, message: string) =>
    new DoremiError("bad-configuration", code, `transform: ${message} (${file}, row group ${before.unit})`, {
      file,
      rowGroup: before.unit,
    });
  const rows = result?.numRows ?? 0;
  const column = (name: string) => {
    const vector = result?.getChild(name);
    if (rows > 0 && !vector)
      throw fault("transform-result", `its result needs the columns row, text and domain, found no “${name}”`);
    return vector;
  };
  const rowColumn = column("row");
  const textColumn = column("text");
  const domainColumn = column("domain");
  const row = new Uint32Array(rows);
  const validity = new Uint8Array(rows);
  const offsets = new Uint32Array(rows + 1);
  const indices = new Int32Array(rows).fill(-1);
  const names = new Map<string, number>();
  const seen = new Uint8Array(before.rows);
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(Math.max(before.bytes.length, 1024));
  for (let i = 0; i < rows; i++) {
    const from = Number(rowColumn!.get(i));
    const local = from - before.rowStart;
    if (!(local >= 0 && local < before.rows))
      throw fault("transform-result", `“row” must be one of the batch's rows, found ${from}`);
    if (seen[local])
      throw fault(
        "transform-repeats",
        `a row may come back once, found row ${from} twice; repeat documents with weights and epochs instead`,
      );
    seen[local] = 1;
    row[i] = from;
    const text: unknown = textColumn!.get(i);
    let at = offsets[i]!;
    if (text !== null && text !== undefined) {
      if (typeof text !== "string" && !(text instanceof Uint8Array))
        throw fault("transform-result", `“text” must be utf8 or binary, found ${typeof text}`);
      const needed = at + (typeof text === "string" ? text.length * 3 : text.length);
      if (needed > bytes.length) {
        const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
        larger.set(bytes);
        bytes = larger;
      }
      if (typeof text === "string") at += encoder.encodeInto(text, bytes.subarray(at)).written;
      else {
        bytes.set(text, at);
        at += text.length;
      }
      validity[i] = 1;
    }
    offsets[i + 1] = at;
    const domain: unknown = domainColumn!.get(i);
    if (typeof domain === "string") {
      let index = names.get(domain);
      if (index === undefined) {
        index = names.size;
        names.set(domain, index);
      }
      indices[i] = index;
    }
  }
  return {
    row,
    batch: {
      unit: before.unit,
      rowStart: before.rowStart,
      rows,
      bytes: bytes.subarray(0, offsets[rows]!),
      offsets,
      validity,
      domain: { names: [...names.keys()], indices },
    },
  };
}
