/** What a file is, from its content: first its first bytes, then, for JSON, its keys. Each kind has a module beside. */
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { sniff } from "../../formats/sniff.ts";
import { DoremiError, withPlace } from "../../lib/errors.ts";
import { loadManifest } from "../../manifest/load.ts";
import { storage } from "../../storage/files.ts";
import { isRemote } from "../../storage/location.ts";
import { inspectArrow } from "./arrow-file.ts";
import type { Inspection } from "./contract.ts";
import { inspectFolder } from "./folder.ts";
import { inspectJson, readJsonDocument } from "./json-file.ts";
import { inspectJsonLines } from "./json-lines.ts";
import { inspectManifest } from "./manifest.ts";
import { inspectModel, inspectSafetensors } from "./model.ts";
import { inspectParquet } from "./parquet-file.ts";
import { inspectTokenStore } from "./token-store.ts";

/** @param path or a URI: of a shard, a selection or a manifest @throws DoremiError missing-file, and what the readers of the formats throw */
export async function inspectPath(path: string): Promise<Inspection> {
  if (isRemote(path))
    return path.endsWith(".json") ? inspectManifest(await loadManifest(path)) : inspectShardFile(path);
  const found = await stat(path).catch((error: unknown) => {
    throw withPlace(error, { file: path });
  });
  if (found.isDirectory()) return inspectFolder(path);
  const head = await firstBytes(path, 16);
  if (head.subarray(0, 7).toString("latin1") === "MMIDIDX") return inspectTokenStore(path);
  if (isSafetensors(head, found.size)) return inspectSafetensors(path);
  const document = await readJsonDocument(path);
  if (document !== undefined) {
    const inspection = await inspectJson(path, document.value);
    if (inspection === "model") return inspectModel(dirname(path));
    if (inspection) return inspection;
    if (!document.isOneLine) {
      const keys = Object.keys(document.value).slice(0, 8).join(", ");
      throw new DoremiError(
        "bad-data",
        "unknown-json",
        `${path}: is a JSON document of no kind that is known here (keys: ${keys})`,
        { file: path },
      );
    }
  }
  return inspectShardFile(path);
}

async function inspectShardFile(path: string): Promise<Inspection> {
  const file = await storage.open(path);
  try {
    const sniffed = await sniff(file);
    switch (sniffed.format) {
      case "parquet":
        return await inspectParquet(file);
      case "arrow-file":
      case "arrow-stream":
        return await inspectArrow(file, sniffed.format);
      case "jsonl":
        return await inspectJsonLines(file, sniffed.compression);
      default:
        return sniffed satisfies never;
    }
  } catch (error) {
    if (!(error instanceof DoremiError) || error.code !== "bad-magic") throw error;
    throw await unknownFile(path, error);
  } finally {
    await file.close();
  }
}

/** Files that cannot be recognised by their content, and what their name suggests. */
async function unknownFile(path: string, error: DoremiError): Promise<DoremiError> {
  const index = path.replace(/\.bin$/, ".idx");
  const isStore = index !== path && (await stat(index).catch(() => undefined)) !== undefined;
  const hint = isStore
    ? `; these are the ids of a token store: inspect ${index}`
    : /\.ya?ml$/i.test(path)
      ? "; if it is a pipeline file, use doremi plan"
      : "";
  return new DoremiError(error.kind, error.code, `${error.message}${hint}`, { file: path, cause: error });
}

/** Eight bytes of header length, then the header, a JSON object. */
function isSafetensors(head: Buffer, size: number): boolean {
  if (head.length < 10 || head[8] !== 0x7b) return false;
  const length = head.readBigUInt64LE();
  return length >= 2n && length <= BigInt(size - 8);
}

async function firstBytes(path: string, length: number): Promise<Buffer> {
  const handle = await open(path, "r").catch((error: unknown) => {
    throw withPlace(error, { file: path });
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
