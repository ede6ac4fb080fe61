/**
 * Materializing: the documents that a manifest selects, written in its order in a trainer's own format. An external
 * shuffle: the selection is split by source, the sources are read by a pool of workers and spilled by position, and each
 * output shard is merged from what was spilled. Memory is bounded whatever the size; the disk holds the set about twice
 * while it is made. What is done stays done when a run is killed.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { MATERIALIZED_NAME, type MaterializedSet } from "../../manifest/materialized.ts";
import type { StageEvent } from "../stage.ts";
import { makePlan } from "./prepare.ts";
import { readSources } from "./read.ts";
import { recordOf, writeSetFiles } from "./record.ts";
import type { MaterializeRequest } from "./request.ts";
import { sweep } from "./state.ts";
import { writeShards } from "./write.ts";

/** The folder is claimed; the state in it is the caller's to remove. @throws DoremiError */
export async function materializeSet(request: MaterializeRequest): Promise<MaterializedSet> {
  const { output, state, upload, emit } = request;
  await rm(join(output, MATERIALIZED_NAME), { force: true });
  await upload?.removeRecord();
  const plan = (await state.plan()) ?? (await makePlan(request));
  await sweep(output, [".", ...plan.groups.map((group) => group.folder)]);
  const spills = await timed("read", emit, () => readSources(request, plan));
  const shards = await timed("write", emit, () => writeShards(request, plan, spills));
  const record = await writeSetFiles(recordOf(request, plan, shards), request);
  await writeFileAtomic(join(output, MATERIALIZED_NAME), `${JSON.stringify(record, null, 2)}\n`);
  await upload?.finish(output, record);
  return record;
}

async function timed<T>(stage: string, emit: (event: StageEvent) => void, work: () => Promise<T>): Promise<T> {
  emit({ type: "start", stage });
  const started = performance.now();
  const result = await work();
  emit({ type: "done", stage, durationMs: performance.now() - started });
  return result;
}
