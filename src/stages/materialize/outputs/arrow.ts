/** Arrow files of documents as columns: text, domain, epoch, source, row, tokens. */
import { join } from "node:path";
import { Int32, Int64, makeData, Utf8 } from "apache-arrow";
import { type Column, RecordBatchFile } from "../../record-batches.ts";
import type { OutputFormat } from "../output-format.ts";
import { DocumentColumns, stretchWriter } from "./document-columns.ts";

export const arrow: OutputFormat = {
  name: "arrow",
  content: "text",
  async openShard({ folder, name }) {
    const path = `${name}.arrow`;
    const file = await RecordBatchFile.create(join(folder, path));
    const columns = new DocumentColumns();
    return stretchWriter(columns, path, {
      flush: () => file.write(batchOf(columns)),
      commit: () => file.commit(),
      discard: () => file.discard(),
    });
  },
};

function batchOf(columns: DocumentColumns): Column[] {
  const length = columns.rows;
  const rows = { length, nullCount: 0 };
  const valueOffsets = columns.textOffsets.subarray(0, length + 1);
  const text = columns.text.subarray(0, valueOffsets[length]);
  const int32 = (data: Int32Array) => makeData({ type: new Int32(), data: data.subarray(0, length), ...rows });
  return [
    { name: "text", data: makeData({ type: new Utf8(), valueOffsets, data: text, ...rows }) },
    { name: "domain", data: strings(columns.domain) },
    { name: "epoch", data: int32(columns.epoch) },
    { name: "source", data: strings(columns.source) },
    { name: "row", data: makeData({ type: new Int64(), data: columns.row.subarray(0, length), ...rows }) },
    { name: "tokens", data: int32(columns.tokens) },
  ];
}

function strings(values: readonly string[]) {
  const valueOffsets = new Int32Array(values.length + 1);
  const data = Buffer.from(values.join(""));
  for (const [i, value] of values.entries()) valueOffsets[i + 1] = valueOffsets[i]! + Buffer.byteLength(value);
  return makeData({ type: new Utf8(), valueOffsets, data, length: values.length, nullCount: 0 });
}
