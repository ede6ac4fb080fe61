/**
 * Chunks that litdata's StreamingDataset reads with its TokensLoader, as LitGPT does, and the index.json of each folder
 * of them. A document is an item of its chunk. The loader cuts blocks out of the ids of a chunk, and what is left at the
 * chunk's end, less than a block, is not read: large shards lose least.
 */
import { basename, join } from "node:path/posix";
import { DocumentFile, idBytes, MAX_OFFSET } from "../../../formats/id-file.ts";
import { sha256 } from "../../../lib/hash.ts";
import type { OutputFormat } from "../output-format.ts";

/** litdata's numbers for torch.uint16 and torch.int32, which LitGPT's own tokenizer gives, by width. */
const TENSOR_TYPES = { 2: 20, 4: 16 } as const;

/** A tensor by itself, in PyTorch's spelling of a tree. */
const LEAF = '[1, {"type": null, "context": null, "children_spec": []}]';

export const litdata: OutputFormat = {
  name: "litdata",
  content: "ids",
  idBytes,
  maxShardBytes: MAX_OFFSET,
  needsSeparator: "litdata's TokensLoader cuts blocks out of the ids and never looks where a document ends",
  async openShard({ folder, name, documents, vocabularySize, separator }) {
    const path = join(folder, `${name}.bin`);
    const file = await DocumentFile.open(path, idBytes(vocabularySize), documents, new Uint8Array(0));
    return {
      async write({ ids }) {
        await file.writeIds(ids, separator);
        file.endDocument();
      },
      async finish() {
        await file.commit();
        return [`${name}.bin`];
      },
      discard: () => file.discard(),
    };
  },
  async groupFiles({ folder, shards }, { idBytes }) {
    const index = {
      chunks: shards.map(({ documents, tokens, separators, files: [file] }) => ({
        chunk_bytes: file!.size,
        chunk_size: documents,
        dim: tokens + separators,
        filename: basename(file!.path),
      })),
      config: {
        chunk_bytes: shards.reduce((most, { files: [file] }) => Math.max(most, file!.size), 0),
        chunk_size: null,
        compression: null,
        compression_batch_size: null,
        compression_level: null,
        data_format: [`no_header_tensor:${TENSOR_TYPES[idBytes!]}`],
        data_spec: LEAF,
        encryption: null,
        ipc_compression: null,
        item_loader: "TokensLoader",
        types: "tensor",
      },
      // litdata drops what it has cached when this changes. The same content gives the same files, so no time.
      updated_at: sha256(shards.map(({ files: [file] }) => file!.sha256).join()).slice(0, 16),
    };
    return [{ path: join(folder, "index.json"), content: `${JSON.stringify(index)}\n` }];
  },
};
