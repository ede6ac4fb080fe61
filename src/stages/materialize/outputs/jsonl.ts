/**
 * JSON Lines, compressed with zstd or not: {"text","domain","epoch","source","row","tokens"}, one document a line. What
 * is no UTF-8 in a text is U+FFFD, as tokenizers read it.
 */
import { join } from "node:path";
import { ZstdEncoder } from "../../../formats/codecs/zstd-encoder.ts";
import { AtomicFile } from "../../../lib/atomic-write.ts";
import type { OutputFormat } from "../output-format.ts";

/** Written at once. */
const BUFFER_BYTES = 1 << 20;

export const jsonl: OutputFormat = {
  name: "jsonl",
  content: "text",
  compressions: ["zstd", "none"],
  async openShard({ folder, name, compression }) {
    const path = `${name}.jsonl${compression === "zstd" ? ".zst" : ""}`;
    const encoder = compression === "zstd" ? await ZstdEncoder.open() : null;
    const file = await AtomicFile.create(join(folder, path)).catch((error: unknown) => {
      encoder?.release();
      throw error;
    });
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let lines: Buffer[] = [];
    let gathered = 0; // bytes
    const flush = async () => {
      const bytes = Buffer.concat(lines);
      lines = [];
      gathered = 0;
      for (const piece of encoder ? encoder.write(bytes) : [bytes]) await file.write(piece);
    };
    return {
      write({ text, domain, epoch, file: source, row, tokens }) {
        const line = JSON.stringify({ text: decoder.decode(text), domain, epoch, source, row, tokens });
        const bytes = Buffer.from(`${line}\n`);
        lines.push(bytes);
        gathered += bytes.length;
        if (gathered >= BUFFER_BYTES) return flush();
      },
      async finish() {
        await flush();
        for (const piece of encoder?.end() ?? []) await file.write(piece);
        await file.commit();
        return [path];
      },
      async discard() {
        encoder?.release();
        await file.discard();
      },
    };
  },
};
