import { describe, expect, it } from "vitest";
import { partOf } from "../../src/cli/sharding.ts";

const array = (id: number, min: number, max: number, count: number, step = 1) => ({
  SLURM_ARRAY_TASK_ID: String(id),
  SLURM_ARRAY_TASK_MIN: String(min),
  SLURM_ARRAY_TASK_MAX: String(max),
  SLURM_ARRAY_TASK_COUNT: String(count),
  SLURM_ARRAY_TASK_STEP: String(step),
});

describe("the part that a process counts", () => {
  it("is the whole where nothing is said, also inside an array", () => {
    expect(partOf({}, array(3, 0, 7, 8))).toBeUndefined();
  });

  it("is what the options say, or the array task, or the pod", () => {
    expect(partOf({ shardIndex: 2, numShards: 8 }, array(3, 0, 7, 8))).toEqual({ index: 2, of: 8 });
    // Some tasks of an array of eight, submitted again.
    expect(partOf({ numShards: 8 }, array(7, 3, 7, 2))).toEqual({ index: 7, of: 8 });
    expect(partOf({ numShards: 4 }, { JOB_COMPLETION_INDEX: "0" })).toEqual({ index: 0, of: 4 });
    expect(partOf({ numShards: "auto" }, array(5, 1, 8, 8))).toEqual({ index: 4, of: 8 });
    expect(partOf({ numShards: "auto" }, array(9, 1, 13, 4, 4))).toEqual({ index: 2, of: 4 });
  });

  it.each([
    [{ shardIndex: 8, numShards: 8 }, {}, /--shard-index must be from 0 to 7 where --num-shards is 8, found 8/],
    [
      { numShards: 8 },
      array(8, 1, 8, 8),
      /the scheduler's index must be from 0 to 7 .* found 8; number the tasks from 0/,
    ],
    [{ shardIndex: 1 }, {}, /--shard-index 1 needs --num-shards/],
    [{ numShards: 8 }, {}, /needs --shard-index outside of a Slurm array/],
    [{ numShards: "auto" as const }, { JOB_COMPLETION_INDEX: "1" }, /auto is for the tasks of a Slurm array/],
    [{ numShards: "auto" as const }, array(7, 3, 7, 2), /found 2 tasks between 3 and 7/],
    [{ shardIndex: 1, numShards: "auto" as const }, array(7, 0, 7, 8), /leave out --shard-index/],
  ])("refuses %j in %j", (options, env, message) => {
    expect(() => partOf(options, env)).toThrow(message);
  });
});
