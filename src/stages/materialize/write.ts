/** The second half of the shuffle, as tasks for the pool: one for each shard of the set. */
import { join } from "node:path";
import { type PoolTask, workerModule } from "../pool.ts";
import { reporter } from "../stage.ts";
import type { GroupPlan, MaterializePlan } from "./plan.ts";
import { checkDone, type MaterializeRequest, sum } from "./request.ts";
import type { SpillFile } from "./spill.ts";
import { areThere, inFolder } from "./state.ts";
import type { WriteMark, WriteTask } from "./write-worker.ts";

const WRITER = workerModule(import.meta.url, "./write-worker");

/** @returns marks of all shards, in order. @throws DoremiError */
export async function writeShards(
  request: MaterializeRequest,
  plan: MaterializePlan,
  spills: readonly SpillFile[],
): Promise<WriteMark[]> {
  const { state, pool, signal, emit, output, upload } = request;
  const { progress } = reporter({ emit }, "write");
  const marks = await state.marks<WriteMark>("write");
  const filesOf = (shard: number, { files }: WriteMark) => inFolder(groupOf(plan, shard).folder, files);
  const put = await upload?.shards(state);
  for (const [shard, mark] of marks) {
    if (put?.has(shard)) continue;
    const files = filesOf(shard, mark);
    if (!(await areThere(output, files))) marks.delete(shard);
    else await upload?.putShard(output, shard, files, state);
  }
  const total = sum(plan.totals.tokens);
  let done = 0;
  const advance = (mark: WriteMark) => {
    done += sum(mark.totals.tokens);
    progress(done, total, "tokens");
  };
  for (const mark of marks.values()) advance(mark);
  const tasks = writeTasks(request, plan, spills, (shard) => !marks.has(shard));
  for await (const { input, output: mark } of pool.map<WriteTask, WriteMark>(WRITER, tasks, signal)) {
    await upload?.putShard(output, input.shard, filesOf(input.shard, mark), state);
    marks.set(input.shard, mark);
    advance(mark);
  }
  const all = plan.boundaries.slice(1).map((_, shard) => marks.get(shard)!);
  checkDone(plan, all, "wrote");
  return all;
}

function groupOf(plan: MaterializePlan, shard: number): GroupPlan {
  return plan.groups.find((group) => shard < group.firstShard + group.shards)!;
}

/** For reading what was spilled. */
const LEAST_MERGE = 4 << 20;
/** Of a format's writer, about. */
const WRITER_BYTES = 16 << 20;

function* writeTasks(
  { settings, state, pool, tokenizer, output }: MaterializeRequest,
  plan: MaterializePlan,
  spills: readonly SpillFile[],
  wanted: (shard: number) => boolean,
): Generator<PoolTask<WriteTask>> {
  const memoryBytes = Math.max(LEAST_MERGE, pool.memoryBytes / (2 * pool.workers) - WRITER_BYTES);
  for (const { folder, firstShard, shards } of plan.groups) {
    for (let index = 0; index < shards; index++) {
      const shard = firstShard + index;
      if (!wanted(shard)) continue;
      yield {
        memoryBytes: memoryBytes + WRITER_BYTES,
        input: {
          plan: { path: state.path("plan.json"), key: plan.key },
          output: settings.output,
          shard,
          spills,
          request: {
            folder: join(output, folder),
            index,
            name: `part-${String(index).padStart(5, "0")}`,
            documents: plan.boundaries[shard + 1]! - plan.boundaries[shard]!,
            vocabularySize: tokenizer.vocabularySize,
            separator: settings.separator,
            compression: settings.compression,
          },
          memoryBytes,
          mark: state.path(`write-${shard}.json`),
        },
      };
    }
  }
}
