/**
 * Megatron's indexed dataset, `NAME.bin` and `NAME.idx`, which Megatron-LM, NeMo and nanotron read: a document is a
 * sequence, with the separator as its last id, as Megatron's own preprocessing appends it.
 */
import { join } from "node:path";
import { idBytes, TokenStoreWriter } from "../../../formats/token-store.ts";
import type { OutputFormat } from "../output-format.ts";

export const megatron: OutputFormat = {
  name: "megatron",
  content: "ids",
  idBytes,
  async openShard({ folder, name, vocabularySize, separator }) {
    const store = await TokenStoreWriter.create(join(folder, name), { vocabularySize });
    return {
      write: ({ ids }) => store.write(ids, separator),
      async finish() {
        await store.commit();
        return [`${name}.bin`, `${name}.idx`];
      },
      discard: () => store.discard(),
    };
  },
};
