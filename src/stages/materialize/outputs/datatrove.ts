/**
 * What datatrove's DocumentTokenizer writes and nanotron reads: `NAME.ds`, the ids one after another; `NAME.ds.index`,
 * where each document ends, in ids; and `NAME.ds.metadata`, the tokenizer and how many ids there are.
 */
import { join } from "node:path";
import { IdFile, idBytes } from "../../../formats/id-file.ts";
import type { OutputFormat } from "../output-format.ts";

export const datatrove: OutputFormat = {
  name: "datatrove",
  content: "ids",
  idBytes,
  async openShard({ folder, name, vocabularySize, separator }) {
    const width = idBytes(vocabularySize);
    const tokens = await IdFile.create(join(folder, `${name}.ds`), width);
    const index = await IdFile.create(join(folder, `${name}.ds.index`), 4).catch(async (error: unknown) => {
      await tokens.discard();
      throw error;
    });
    const end = new BigUint64Array(1);
    const endBytes = new Uint8Array(end.buffer);
    return {
      async write({ ids }) {
        await tokens.writeIds(ids, separator);
        end[0] = BigInt(tokens.size / width);
        await index.write(endBytes);
      },
      async finish() {
        await tokens.commit();
        await index.commit();
        return [`${name}.ds`, `${name}.ds.index`];
      },
      async discard() {
        await tokens.discard();
        await index.discard();
      },
    };
  },
  async groupFiles({ shards }, { tokenizer, idBytes }) {
    return shards.map(({ files: [tokens], tokens: counted, separators }) => ({
      path: `${tokens!.path}.metadata`,
      content: [`${tokenizer.name}|${idBytes}`, counted + separators, tokenTotal(counted + separators)].join("\n"),
    }));
  },
};

/** Three digits and a prefix, such as "12.3 MT": for people to read. */
export function tokenTotal(tokens: number): string {
  let exponent = String(tokens).length - 1;
  const rounded = () => (tokens / 1000 ** Math.floor(exponent / 3)).toFixed(2 - (exponent % 3));
  // 999.9 has three digits before the point, and four when it is rounded.
  if (Number(rounded()) >= 10 ** ((exponent % 3) + 1)) exponent += 1;
  return `${rounded()} ${["", "k", "M", "G", "T", "P"][Math.floor(exponent / 3)]}T`;
}
