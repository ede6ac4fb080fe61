/** Which part of a divided count this process is to do, by its options and by what a scheduler says in the environment. */
import { InvalidArgumentError } from "commander";
import { DoremiError } from "../lib/errors.ts";
import type { Part } from "../stages/discover/partition.ts";

export interface ShardingOptions {
  readonly shardIndex?: number;
  readonly numShards?: number | "auto";
}

type Environment = Readonly<Record<string, string | undefined>>;

export function shardIndex(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 0 up.");
  return Number(text);
}

export function numShards(text: string): number | "auto" {
  if (text === "auto") return text;
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
    throw new InvalidArgumentError("It must be a whole number from 1 up, or auto.");
  }
  return Number(text);
}

/**
 * Undefined where all is to be counted here. The index is that of the option, or else of the array task or the indexed
 * pod that this is; `--num-shards auto` takes the number from Slurm, too.
 *
 * @throws DoremiError usage
 */
export function partOf({ shardIndex: index, numShards: of }: ShardingOptions, env: Environment): Part | undefined {
  if (index === undefined && of === undefined) return undefined;
  if (of === "auto") {
    if (index !== undefined) {
      throw usage(
        "--num-shards auto takes the index from the scheduler, too; leave out --shard-index, or give the number",
      );
    }
    return arrayPart(env);
  }
  if (of === undefined) throw usage(`--shard-index ${index} needs --num-shards: of how many, from 1 up`);
  const place = index ?? indexOf(env);
  if (place >= of) {
    const from = index === undefined ? "the scheduler's index" : "--shard-index";
    throw usage(
      `${from} must be from 0 to ${of - 1} where --num-shards is ${of}, found ${place}; number the tasks from 0`,
    );
  }
  return { index: place, of };
}

function indexOf(env: Environment): number {
  const text = env.SLURM_ARRAY_TASK_ID ?? env.JOB_COMPLETION_INDEX;
  if (text !== undefined && /^\d+$/.test(text)) return Number(text);
  throw usage(
    "--num-shards needs --shard-index outside of a Slurm array (SLURM_ARRAY_TASK_ID) and an indexed Job (JOB_COMPLETION_INDEX)",
  );
}

/** The whole array is the division. */
function arrayPart(env: Environment): Part {
  const read = (name: string) => Number(env[`SLURM_ARRAY_TASK_${name}`] ?? Number.NaN);
  const [id, min, max, count] = [read("ID"), read("MIN"), read("MAX"), read("COUNT")];
  const step = env.SLURM_ARRAY_TASK_STEP === undefined ? 1 : read("STEP");
  if (![id, min, max, count, step].every(Number.isSafeInteger)) {
    throw usage(
      "--num-shards auto is for the tasks of a Slurm array (sbatch --array), and this is none; give the number of tasks",
    );
  }
  // Some of an array, submitted again, would be another division.
  if ((max - min) / step + 1 !== count) {
    throw usage(
      `--num-shards auto needs an array without gaps, found ${count} tasks between ${min} and ${max}; give the number of tasks of all parts`,
    );
  }
  return { index: (id - min) / step, of: count };
}

function usage(message: string): DoremiError {
  return new DoremiError("usage", "count-arguments", message);
}
