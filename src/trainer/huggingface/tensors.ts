/** The tensors of a model's folder: of one model.safetensors, or of the shards that an index beside them lists. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { openSafetensors, type SafetensorsFile } from "../../formats/safetensors.ts";
import { DoremiError } from "../../lib/errors.ts";
import { refuseModel } from "./config.ts";

export const SINGLE_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** Tensor → name of the file that holds it; null where the folder has no index. */
async function readIndex(folder: string): Promise<Map<string, string> | null> {
  const path = join(folder, INDEX_FILE);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return null;
  let map: unknown;
  try {
    map = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
  } catch (error) {
    throw refuseModel(path, `must be JSON: ${(error as Error).message}`);
  }
  if (map === null || typeof map !== "object") throw refuseModel(path, "must have a weight_map of tensors to files");
  const entries = Object.entries(map);
  for (const [tensor, file] of entries) {
    if (typeof file !== "string" || basename(file) !== file || file === "" || file === "..")
      throw refuseModel(path, `weight_map must name files of this folder, found ${JSON.stringify(file)} for ${tensor}`);
  }
  return new Map(entries as [string, string][]);
}

/** The folder's files that hold its tensors, an index first. A whole model.safetensors is preferred, as in transformers. */
export async function tensorFiles(folder: string, present: (name: string) => Promise<boolean>): Promise<string[]> {
  if (await present(SINGLE_FILE)) return [SINGLE_FILE];
  const index = await readIndex(folder);
  return index ? [INDEX_FILE, ...[...new Set(index.values())].sort()] : [SINGLE_FILE];
}

export class ModelTensors {
  /** tensor → the open file that holds it */
  readonly #files: ReadonlyMap<string, SafetensorsFile>;
  readonly #open: readonly SafetensorsFile[];
  /** of the file, or of the index */
  readonly path: string;

  constructor(path: string, files: ReadonlyMap<string, SafetensorsFile>, open: readonly SafetensorsFile[]) {
    this.path = path;
    this.#files = files;
    this.#open = open;
  }

  /** @param files as `tensorFiles` gives them @throws DoremiError missing-file; bad-data where shards are not as the index says */
  static async open(folder: string, files: readonly string[]): Promise<ModelTensors> {
    const open: SafetensorsFile[] = [];
    try {
      const byTensor = new Map<string, SafetensorsFile>();
      for (const name of files.filter((file) => file !== INDEX_FILE)) {
        const file = await openSafetensors(join(folder, name));
        open.push(file);
        for (const tensor of file.tensors.keys()) {
          const other = byTensor.get(tensor);
          if (other) throw refuseModel(file.path, `${tensor} must be in one file, but is in ${other.path} too`);
          byTensor.set(tensor, file);
        }
      }
      return new ModelTensors(join(folder, files[0]!), byTensor, open);
    } catch (error) {
      await Promise.all(open.map((file) => file.close()));
      throw error;
    }
  }

  names(): string[] {
    return [...this.#files.keys()];
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  /** @throws DoremiError missing-tensor; safetensors where it holds integers */
  shapeOf(name: string): readonly number[] {
    return this.#fileOf(name).floatingPoint(name).shape;
  }

  /** Widened from 16 bits or rounded from 64 where it is stored so. */
  readFloat32(name: string): Promise<Float32Array> {
    return this.#fileOf(name).readFloat32(name);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((file) => file.close()));
  }

  #fileOf(name: string): SafetensorsFile {
    const file = this.#files.get(name);
    if (file) return file;
    throw new DoremiError(
      "bad-data",
      "missing-tensor",
      `${this.path}: has no tensor ${name}; it holds ${this.names().slice(0, 5).join(", ")}, …`,
      { file: this.path },
    );
  }
}
