/**
 * Shards of MosaicML Streaming, and the index.json of each folder of them. A sample is a document: its domain, and its
 * tokens as a NumPy array, with the separator as its last. A trainer that wants samples of one length packs them itself:
 * Composer's and LLM Foundry's text loaders cut a longer sample off.
 */
import { basename, join } from "node:path/posix";
import { DocumentFile, idBytes, MAX_OFFSET } from "../../../formats/id-file.ts";
import type { OutputFormat } from "../output-format.ts";

/** Of an array's shape: codes of the narrowest unsigned integers that hold it. */
const UINT8 = 0;
const UINT16 = 1;
const UINT32 = 2;
/** One axis, in the bits above the code. */
const ONE_AXIS = 1 << 2;

export const mds: OutputFormat = {
  name: "mds",
  content: "ids",
  idBytes,
  maxShardBytes: MAX_OFFSET,
  async openShard({ folder, name, documents, vocabularySize, separator }) {
    const width = idBytes(vocabularySize);
    const file = await DocumentFile.open(
      join(folder, `${name}.mds`),
      width,
      documents,
      Buffer.from(pythonJson(columnsOf(width))),
    );
    return {
      async write({ domain, ids }) {
        await file.write(sampleHead(domain, ids.length + (separator === null ? 0 : 1), width));
        await file.writeIds(ids, separator);
        file.endDocument();
      },
      async finish() {
        await file.commit();
        return [`${name}.mds`];
      },
      discard: () => file.discard(),
    };
  },
  async groupFiles({ folder, shards }, { idBytes }) {
    const index = {
      version: 2,
      shards: shards.map(({ documents, files: [file] }) => ({
        ...columnsOf(idBytes!),
        raw_data: { basename: basename(file!.path), bytes: file!.size, hashes: { sha256: file!.sha256 } },
        samples: documents,
        zip_data: null,
      })),
    };
    return [{ path: join(folder, "index.json"), content: `${JSON.stringify(index)}\n` }];
  },
};

/** What every shard says of itself, keys in Streaming's order. */
function columnsOf(width: 2 | 4) {
  return {
    column_encodings: ["str", `ndarray:uint${width * 8}`],
    column_names: ["domain", "tokens"],
    column_sizes: [null, null],
    compression: null,
    format: "mds",
    hashes: ["sha256"],
    size_limit: null,
    version: 2,
  };
}

/** Sizes of the two columns, the domain, and the shape of the tokens, which come behind. */
function sampleHead(domain: string, tokens: number, width: 2 | 4): Buffer {
  const domainBytes = Buffer.byteLength(domain);
  const code = tokens < 1 << 8 ? UINT8 : tokens < 1 << 16 ? UINT16 : UINT32;
  const shapeBytes = 1 + (1 << code);
  const head = Buffer.alloc(8 + domainBytes + shapeBytes);
  head.writeUInt32LE(domainBytes, 0);
  head.writeUInt32LE(shapeBytes + tokens * width, 4);
  head.write(domain, 8);
  head.writeUInt8(ONE_AXIS | code, 8 + domainBytes);
  head.writeUIntLE(tokens, 9 + domainBytes, 1 << code);
  return head;
}

/** With the white space of Python's json.dumps, so that a shard has the bytes that Streaming's writer gives it. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${pythonJson(member)}`);
  return `{${members.join(", ")}}`;
}
