/**
 * What OLMo-core reads: `NAME.npy`, which in spite of its name is nothing but the ids one after another (uint16 or uint32,
 * as the Dolma toolkit writes them and OLMo-core maps them), and `NAME.csv.gz` with a line for each document: first id,
 * end, file, row.
 */
import { join } from "node:path";
import { Gzip } from "fflate";
import { IdFile, idBytes } from "../../../formats/id-file.ts";
import { AtomicFile } from "../../../lib/atomic-write.ts";
import { csvLine } from "../../../lib/csv.ts";
import type { OutputFormat } from "../output-format.ts";

/** Of the table, compressed at once. */
const TABLE_BYTES = 1 << 16;

export const npy: OutputFormat = {
  name: "npy",
  content: "ids",
  idBytes,
  needsSeparator: "OLMo-core finds the end of a document by the id of the end-of-text token",
  async openShard({ folder, name, vocabularySize, separator }) {
    const width = idBytes(vocabularySize);
    const tokens = await IdFile.create(join(folder, `${name}.npy`), width);
    const table = await AtomicFile.create(join(folder, `${name}.csv.gz`)).catch(async (error: unknown) => {
      await tokens.discard();
      throw error;
    });
    // Not node:zlib: its bytes differ from version to version.
    let compressed: Uint8Array[] = [];
    const gzip = new Gzip({ level: 6, mtime: 0 }, (piece) => compressed.push(piece));
    let lines = "";
    const flushTable = async (isLast: boolean) => {
      gzip.push(Buffer.from(lines), isLast);
      lines = "";
      for (const piece of compressed) await table.write(piece);
      compressed = [];
    };
    return {
      async write({ ids, file, row }) {
        const start = tokens.size / width;
        await tokens.writeIds(ids, separator);
        lines += csvLine([start, tokens.size / width, file, row]);
        if (lines.length >= TABLE_BYTES) await flushTable(false);
      },
      async finish() {
        await flushTable(true);
        await tokens.commit();
        await table.commit();
        return [`${name}.npy`, `${name}.csv.gz`];
      },
      async discard() {
        await tokens.discard();
        await table.discard();
      },
    };
  },
};
