/**
 * The state of a training run on disk: tensors in `step-N.safetensors`, everything else in `checkpoint.json`, which
 * names them. The JSON is replaced last and in one move, so there is always one whole checkpoint or none.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type NamedArray, openSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson } from "../lib/hash.ts";

const FORMAT = "doremi-checkpoint";
const VERSION = 1;
const INDEX = "checkpoint.json";

export interface Checkpoint {
  /** steps done */
  readonly step: number;
  /** parameter/…, first/…, second/…, and alpha for a proxy */
  readonly tensors: Readonly<Record<string, NamedArray>>;
  /** proxy: Σ of alpha over the steps done; JSON keeps float64 exactly */
  readonly alphaSum: readonly number[] | null;
}

/** Everything that the course of training depends on, apart from the data. JSON. */
export type RunConfiguration = Readonly<Record<string, unknown>>;

export async function saveCheckpoint(
  folder: string,
  configuration: RunConfiguration,
  checkpoint: Checkpoint,
): Promise<void> {
  const file = `step-${checkpoint.step}.safetensors`;
  await writeSafetensors(join(folder, file), checkpoint.tensors);
  const index = {
    format: FORMAT,
    version: VERSION,
    step: checkpoint.step,
    tensors: file,
    alphaSum: checkpoint.alphaSum,
    configuration,
  };
  await writeFileAtomic(join(folder, INDEX), `${JSON.stringify(index, null, 2)}\n`);
  for (const name of await readdir(folder)) {
    if (/^step-\d+\.safetensors(\.[0-9a-f]+\.tmp)?$/.test(name) && name !== file)
      await rm(join(folder, name), { force: true });
  }
}

/**
 * The folder's checkpoint, or null where there is none.
 * @throws DoremiError other-checkpoint where it belongs to a run that was configured differently; checkpoint where it is damaged
 */
export async function loadCheckpoint(folder: string, configuration: RunConfiguration): Promise<Checkpoint | null> {
  const path = join(folder, INDEX);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const index = parse(path, text);
  for (const key of new Set([...Object.keys(configuration), ...Object.keys(index.configuration)])) {
    const [here, there] = [configuration[key], index.configuration[key]].map((value) => canonicalJson(value ?? null));
    if (here === there) continue;
    throw new DoremiError(
      "bad-configuration",
      "other-checkpoint",
      `${folder}: the checkpoint must belong to this run, but its ${key} is ${there} and this run's is ${here}; choose another folder or delete this one`,
      { file: path },
    );
  }
  const file = await openSafetensors(join(folder, index.tensors));
  try {
    const tensors: Record<string, NamedArray> = {};
    for (const [name, { shape }] of file.tensors) tensors[name] = { shape, data: await file.readFloat32(name) };
    return { step: index.step, tensors, alphaSum: index.alphaSum };
  } finally {
    await file.close();
  }
}

interface Index {
  readonly step: number;
  readonly tensors: string;
  readonly alphaSum: readonly number[] | null;
  readonly configuration: RunConfiguration;
}

function parse(path: string, text: string): Index {
  try {
    const index = JSON.parse(text);
    if (index.format !== FORMAT || index.version !== VERSION) throw new Error(`expected ${FORMAT} version ${VERSION}`);
    if (!Number.isSafeInteger(index.step) || !/^step-\d+\.safetensors$/.test(index.tensors))
      throw new Error("step or tensors is wrong");
    if (index.configuration === null || typeof index.configuration !== "object")
      throw new Error("configuration is missing");
    return index;
  } catch (error) {
    throw new DoremiError(
      "bad-data",
      "checkpoint",
      `${path}: is no checkpoint that can be resumed: ${(error as Error).message}; delete the folder to start again`,
      {
        file: path,
        cause: error,
      },
    );
  }
}
