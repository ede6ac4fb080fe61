/** Which stages a run would find done and which it would do, why, and how long each takes. Writes nothing. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson } from "../lib/hash.ts";
import type { DiscoverOutput } from "../stages/discover/contract.ts";
import { CHECKPOINTS } from "../stages/training.ts";
import { checkpointSteps } from "../trainer/checkpoint-files.ts";
import type { OutputFolder } from "./output-folder.ts";
import { type BoundStage, isDone, nameOf } from "./runner.ts";
import type { RunStatus } from "./status.ts";

export interface PlannedStage {
  readonly name: string;
  /** running: another process is doing it now */
  readonly status: "unchanged" | "running" | "to do" | "waits";
  /** why it is to do, or what it waits for */
  readonly why: string;
  /** null where nothing can be said, or nothing is to do */
  readonly seconds: number | null;
}

export interface StagesRequest {
  readonly bound: readonly BoundStage[];
  readonly folder: OutputFolder;
  /** what discover would find: to plan is to look */
  readonly discovered: DiscoverOutput;
  readonly shards: number;
  /** that the whole of a stage takes, by kind; none where nothing can be said */
  readonly seconds: Readonly<Record<string, number>>;
  /** of each training, by kind */
  readonly steps: Readonly<Record<string, number>>;
  /** at work in the folder now */
  readonly run: RunStatus | undefined;
}

/** @returns the stages, and the outputs of those that are done, with discover's */
export async function planStages(request: StagesRequest) {
  const { bound, folder, discovered, shards, seconds, run } = request;
  const outputs: Record<string, unknown> = { discover: discovered };
  const stages: PlannedStage[] = [];
  let waitingFor: PlannedStage | undefined;
  await bound[0]!.check?.(outputs, folder);
  for (const stage of bound) {
    const name = nameOf(stage);
    const whole = seconds[stage.stage.name];
    const estimate = whole === undefined ? null : Math.ceil(whole);
    if (waitingFor !== undefined) {
      const unless = stage.skip ? ", and the weights may have settled by then" : "";
      const running = waitingFor.status === "running" ? runningStage(name, run, estimate) : undefined;
      stages.push(
        running ?? { name, status: "to do", why: `${waitingFor.name} comes first${unless}`, seconds: estimate },
      );
      continue;
    }
    if (stage.skip?.(outputs)) continue;
    const { done, key, output } = await isDone(stage, outputs, folder);
    if (name === "discover") {
      const same = done && canonicalJson(output) === canonicalJson(discovered);
      const why = same
        ? ""
        : (await folder.done(name))
          ? ", and they or their settings changed"
          : ", which no run has listed yet";
      const status = same ? "unchanged" : "to do";
      stages.push({
        name,
        status,
        why: `${shards} ${shards === 1 ? "shard" : "shards"}${why}`,
        seconds: same ? null : estimate,
      });
      continue;
    }
    if (done) {
      outputs[name] = output;
      await stage.check?.(outputs, folder);
      stages.push({ name, status: "unchanged", why: "done with these settings and inputs", seconds: null });
      continue;
    }
    const begun = await stat(folder.workPath(name, key)).catch(() => undefined);
    waitingFor =
      (begun && runningStage(name, run, estimate)) ??
      (await resumedStage(stage, key, request, estimate)) ??
      (await newStage(name, folder, estimate));
    stages.push(waitingFor);
  }
  return { stages, outputs };
}

function runningStage(name: string, run: RunStatus | undefined, estimate: number | null): PlannedStage | undefined {
  const found = run?.stages.find(({ stage, state }) => stage === name && state === "running");
  if (!found) return undefined;
  const { progress } = found;
  const share = progress && progress.total > 0 ? `, ${Math.floor((100 * progress.done) / progress.total)} % done` : "";
  const left = progress?.secondsLeft ?? null;
  return { name, status: "running", why: `by the run that is at work${share}`, seconds: left ?? estimate };
}

/** A training that was interrupted goes on from its checkpoint. */
async function resumedStage(
  bound: BoundStage,
  key: string,
  { folder, steps }: StagesRequest,
  estimate: number | null,
): Promise<PlannedStage | undefined> {
  const all = steps[bound.stage.name];
  if (all === undefined) return undefined;
  const name = nameOf(bound);
  const [step] = await checkpointSteps(join(folder.workPath(name, key), CHECKPOINTS));
  if (step === undefined) return undefined;
  const seconds = estimate === null ? null : Math.ceil(estimate * (1 - step / all));
  return { name, status: "to do", why: `goes on from step ${step} of ${all}`, seconds };
}

async function newStage(name: string, folder: OutputFolder, seconds: number | null): Promise<PlannedStage> {
  const earlier = await folder.done(name);
  return { name, status: "to do", why: earlier ? "its settings or inputs changed" : "not done yet", seconds };
}
