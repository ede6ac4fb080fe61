/**
 * Checkpoints on disk: tensors in `step-N.safetensors`, everything else in `step-N.json`, which has the checksums of
 * both. The JSON is written last and in one move, so a checkpoint is there whole or not at all; one that was damaged
 * later is found by its checksum, and the one before it is used. The newest few are kept.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type NamedArray, openSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson, sha256Json } from "../lib/hash.ts";
import type { Checkpoint, CheckpointStore, RunConfiguration } from "./checkpoint.ts";

export const CHECKPOINT_FORMAT = "doremi-checkpoint";
const VERSION = 2;
/** bytes hashed before others get their turn */
const PIECE = 4 << 20;

export interface CheckpointFilesOptions {
  readonly folder: string;
  /** so many of the newest are kept; at least 1 */
  readonly keep: number;
  /** later ones count on what is lost, and are not used; default: none */
  readonly upTo?: number;
  /** told of each checkpoint that is damaged or left out */
  readonly onNote?: (message: string) => void;
}

/** What `step-N.json` holds. */
interface CheckpointIndex {
  readonly format: typeof CHECKPOINT_FORMAT;
  readonly version: typeof VERSION;
  readonly step: number;
  /** sha256 over the names, shapes and values of the tensors */
  readonly tensors: string;
  readonly state: unknown;
  readonly configuration: RunConfiguration;
}

/** Steps that the folder has a checkpoint of, newest first. */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .map((name) => /^step-(\d+)\.json$/.exec(name)?.[1])
    .filter((step) => step !== undefined)
    .map(Number)
    .sort((a, b) => b - a);
}

export class CheckpointFiles implements CheckpointStore {
  readonly #options: CheckpointFilesOptions;
  readonly #configuration: RunConfiguration;
  /** the write that goes on, or the last one */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: CheckpointFilesOptions, configuration: RunConfiguration) {
    this.#options = options;
    this.#configuration = configuration;
  }

  /**
   * @throws DoremiError other-checkpoint where it belongs to a run that was configured differently; checkpoint where all
   * that are there are damaged
   */
  async load(): Promise<Checkpoint | null> {
    const { folder, upTo = Number.POSITIVE_INFINITY, onNote } = this.#options;
    let damage: DoremiError | undefined;
    for (const step of await checkpointSteps(folder)) {
      if (step > upTo) {
        onNote?.(`the checkpoint of step ${step} is left out: records of its steps are there up to ${upTo} only`);
        continue;
      }
      try {
        const index = await readIndex(folder, step);
        this.#checkConfiguration(index);
        const tensors = await readTensors(folder, index);
        if (damage) onNote?.(`${damage.message}; training goes on from step ${step}, the checkpoint before`);
        return { step, tensors, state: index.state };
      } catch (error) {
        if (!(error instanceof DoremiError) || error.code !== "checkpoint") throw error;
        damage ??= error;
      }
    }
    if (!damage) return null;
    throw new DoremiError(
      "bad-data",
      "checkpoint",
      `${damage.message}, and there is no other; delete ${folder} to start again`,
      { file: damage.file ?? folder, cause: damage },
    );
  }

  /** One is written at a time, so that no more than two are ever held. */
  async save(checkpoint: Checkpoint): Promise<void> {
    await this.idle();
    this.#writing = this.#write(checkpoint);
    this.#writing.catch(() => {}); // whoever saves next, or waits for all, hears of it
  }

  async idle(): Promise<void> {
    await this.#writing;
  }

  async #write({ step, tensors, state }: Checkpoint): Promise<void> {
    const { folder } = this.#options;
    await writeSafetensors(join(folder, `step-${step}.safetensors`), tensors);
    const index: CheckpointIndex = {
      format: CHECKPOINT_FORMAT,
      version: VERSION,
      step,
      tensors: await tensorsSha256(tensors),
      state,
      configuration: this.#configuration,
    };
    await writeFileAtomic(join(folder, `step-${step}.json`), `${canonicalJson(sealed(index))}\n`);
    await this.#prune(step);
  }

  /** Keeps the newest up to `step`. Later ones, of a run that this one had to fall back behind, are of no use. */
  async #prune(step: number): Promise<void> {
    const { folder, keep } = this.#options;
    const kept = new Set((await checkpointSteps(folder)).filter((other) => other <= step).slice(0, keep));
    // A JSON goes before its tensors: what is cut short is then tensors without a JSON, which nothing reads.
    const names = (await readdir(folder)).sort((a, b) => Number(b.endsWith(".json")) - Number(a.endsWith(".json")));
    for (const name of names) {
      const file = /^step-(\d+)\.(json|safetensors)(\.[0-9a-f]+\.tmp)?$/.exec(name);
      if (file && (file[3] !== undefined || !kept.has(Number(file[1])))) await rm(join(folder, name), { force: true });
    }
  }

  #checkConfiguration({ configuration: there, step }: CheckpointIndex): void {
    const { folder } = this.#options;
    const here = this.#configuration;
    for (const key of new Set([...Object.keys(here), ...Object.keys(there)])) {
      const [mine, theirs] = [here[key], there[key]].map((value) => canonicalJson(value ?? null));
      if (mine === theirs) continue;
      throw new DoremiError(
        "bad-configuration",
        "other-checkpoint",
        `${folder}: the checkpoint must belong to this run, but its ${key} is ${theirs} and this run's is ${mine}; choose another folder or delete this one`,
        { file: join(folder, `step-${step}.json`) },
      );
    }
  }
}

/** The index with a checksum of itself. */
function sealed(index: CheckpointIndex): CheckpointIndex & { readonly sha256: string } {
  return { ...index, sha256: sha256Json(index) };
}

async function readIndex(folder: string, step: number): Promise<CheckpointIndex> {
  const path = join(folder, `step-${step}.json`);
  const text = await readFile(path, "utf8");
  try {
    const { sha256, ...index } = JSON.parse(text) as ReturnType<typeof sealed>;
    if (index.format !== CHECKPOINT_FORMAT || index.version !== VERSION)
      throw new Error(`must be ${CHECKPOINT_FORMAT} version ${VERSION}`);
    if (sha256Json(index) !== sha256) throw new Error("does not have the checksum that it says");
    if (index.step !== step) throw new Error(`is of step ${index.step}`);
    if (index.configuration === null || typeof index.configuration !== "object")
      throw new Error("must say the configuration of its run");
    return index;
  } catch (error) {
    throw damaged(path, error);
  }
}

async function readTensors(folder: string, index: CheckpointIndex): Promise<Checkpoint["tensors"]> {
  const path = join(folder, `step-${index.step}.safetensors`);
  try {
    const file = await openSafetensors(path);
    try {
      const read: [string, NamedArray][] = [];
      for (const [name, { shape }] of file.tensors) read.push([name, { shape, data: await file.readFloat32(name) }]);
      const tensors = Object.fromEntries(read);
      if ((await tensorsSha256(tensors)) !== index.tensors)
        throw new Error("the tensors do not have the checksum that they were written with");
      return tensors;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw damaged(path, error);
  }
}

async function tensorsSha256(tensors: Checkpoint["tensors"]): Promise<string> {
  const hash = createHash("sha256");
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    hash.update(`${JSON.stringify([name, shape])}\n`);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 0; at < bytes.length; at += PIECE) {
      hash.update(bytes.subarray(at, at + PIECE));
      await new Promise(setImmediate);
    }
  }
  return hash.digest("hex");
}

function damaged(path: string, cause: unknown): DoremiError {
  // Other system errors than a missing file, such as a refused permission, are no damage.
  const system = cause instanceof Error && "syscall" in cause ? (cause as NodeJS.ErrnoException).code : undefined;
  if (system !== undefined && system !== "ENOENT") throw cause;
  return new DoremiError("bad-data", "checkpoint", `${path}: is damaged: ${(cause as Error).message}`, {
    file: path,
    cause,
  });
}
