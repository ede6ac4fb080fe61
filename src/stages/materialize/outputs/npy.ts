/**
 * What OLMo-core reads: `NAME.npy`, which in spite of its name is nothing but the ids one after another (uint16 or uint32,
 * as the Dolma toolkit writes them and OLMo-core maps them), and `NAME.csv.gz` with a line for each document: first id,
 * end, file, row.
 */
import { join } from "node:path";
import { Gzip } from "fflate";
import { AtomicFile } from "../../../lib/atomic-write.ts";
import { csvLine } from "../../../lib/csv.ts";
import type { OutputFormat } from "../output-format.ts";

const idBytes = (vocabularySize: number): 2 | 4 => (vocabularySize <= 1 << 16 ? 2 : 4);

const BUFFER_IDS = 1 << 18;
/** Of the table, compressed at once. */
const TABLE_BYTES = 1 << 16;

export const npy: OutputFormat = {
  name: "npy",
  content: "ids",
  idBytes,
  needsSeparator: "OLMo-core finds the end of a document by the id of the end-of-text token",
  async openShard({ folder, name, vocabularySize, separator }) {
    const ids = await AtomicFile.create(join(folder, `${name}.npy`));
    const table = await AtomicFile.create(join(folder, `${name}.csv.gz`)).catch(async (error: unknown) => {
      await ids.discard();
      throw error;
    });
    const buffer = idBytes(vocabularySize) === 2 ? new Uint16Array(BUFFER_IDS) : new Uint32Array(BUFFER_IDS);
    let buffered = 0;
    let end = 0; // of the documents so far, in ids
    const flush = async () => {
      await ids.write(new Uint8Array(buffer.buffer, 0, buffered * buffer.BYTES_PER_ELEMENT));
      buffered = 0;
    };
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
      async write(document) {
        const start = end;
        const separated = separator === null ? 0 : 1;
        for (let done = 0; done < document.ids.length; ) {
          if (buffered === BUFFER_IDS) await flush();
          const piece = document.ids.subarray(done, done + BUFFER_IDS - buffered);
          buffer.set(piece, buffered);
          buffered += piece.length;
          done += piece.length;
        }
        if (separator !== null) {
          if (buffered === BUFFER_IDS) await flush();
          buffer[buffered++] = separator;
        }
        end = start + document.ids.length + separated;
        lines += csvLine([start, end, document.file, document.row]);
        if (lines.length >= TABLE_BYTES) await flushTable(false);
      },
      async finish() {
        await flush();
        await flushTable(true);
        await ids.commit();
        await table.commit();
        return [`${name}.npy`, `${name}.csv.gz`];
      },
      async discard() {
        await ids.discard();
        await table.discard();
      },
    };
  },
};
