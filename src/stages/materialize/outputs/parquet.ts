/**
 * Parquet files of documents as columns (text, domain, epoch, source, row, tokens), and a dataset card with which
 * Hugging Face datasets loads them. Compressed with snappy in plain JavaScript: the same bytes everywhere.
 */
import { join } from "node:path";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { AtomicFile } from "../../../lib/atomic-write.ts";
import type { OutputFormat } from "../output-format.ts";
import { datasetCard } from "./dataset-card.ts";
import { DocumentColumns, stretchWriter } from "./document-columns.ts";

const required = (name: string, type: "INT32" | "INT64") => ({ name, type, repetition_type: "REQUIRED" }) as const;
const string = (name: string) =>
  ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }) as const;

const COLUMNS = [
  string("text"),
  string("domain"),
  required("epoch", "INT32"),
  string("source"),
  required("row", "INT64"),
  required("tokens", "INT32"),
];

export const parquet: OutputFormat = {
  name: "parquet",
  content: "text",
  async openShard({ folder, name }) {
    const path = `${name}.parquet`;
    const file = await AtomicFile.create(join(folder, path));
    const bytes = new ByteWriter();
    const writer = new ParquetWriter({
      writer: bytes,
      schema: [{ name: "documents", num_children: COLUMNS.length }, ...COLUMNS],
      codec: "SNAPPY",
      createdBy: "doremi",
    });
    const columns = new DocumentColumns();
    const drain = async () => {
      await file.write(bytes.getBytes());
      bytes.index = 0;
    };
    return stretchWriter(columns, path, {
      async flush() {
        await writer.write({ columnData: columnData(columns), rowGroupSize: columns.rows });
        await drain();
      },
      async commit() {
        await writer.finish();
        await drain();
        await file.commit();
      },
      discard: () => file.discard(),
    });
  },
  async setFiles(set, manifest, folder) {
    return [{ path: "README.md", content: await datasetCard(set, manifest, folder) }];
  },
};

function columnData({ rows, text, textOffsets, domain, epoch, source, row, tokens }: DocumentColumns) {
  const texts = Array.from({ length: rows }, (_, i) => text.subarray(textOffsets[i], textOffsets[i + 1]));
  return [
    // No dictionary is looked for, and bytes are not read as strings to find the least of them.
    { name: "text", data: texts, encoding: "PLAIN" as const, statistics: false },
    { name: "domain", data: domain },
    { name: "epoch", data: epoch.subarray(0, rows) },
    { name: "source", data: source },
    { name: "row", data: row.subarray(0, rows) },
    { name: "tokens", data: tokens.subarray(0, rows) },
  ];
}
