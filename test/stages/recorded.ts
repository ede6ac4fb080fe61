/** Trainings that never were: records of steps from given losses, written as a run writes them. */
import { join } from "node:path";
import { domainStatistics, type ObjectiveFacts, sequenceStatistics } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS, needsReference, type ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { Replay } from "../../src/mixture/replay.ts";
import { TraceLog } from "../../src/stages/trace.ts";
import type { RecordedProxy } from "../../src/stages/trace-metadata.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import type { StepRecord } from "../../src/trainer/contract.ts";

/** Token losses of a few steps, as the golden vectors have them. */
export interface GoldenInputs {
  readonly k: number;
  readonly batch: number;
  readonly seq_len: number;
  readonly vocab_size: number;
  readonly steps: readonly {
    readonly domain_ids: number[];
    readonly mask: number[][];
    readonly loss: number[][];
    readonly ref: number[][];
  }[];
}

export function recordedProxy(
  inputs: Pick<GoldenInputs, "k" | "seq_len" | "vocab_size">,
  objective: ObjectiveSettings = DOREMI_PRESETS.paper,
  facts: Partial<ObjectiveFacts> = {},
): RecordedProxy {
  const uniform = Array.from({ length: inputs.k }, () => 1 / inputs.k);
  return {
    objective,
    facts: {
      domains: inputs.k,
      start: uniform,
      sampling: uniform,
      reference: uniform,
      sizes: uniform.map((_, i) => 1000 * (i + 1)),
      sequenceLength: inputs.seq_len,
      vocabularySize: inputs.vocab_size,
      ...facts,
    },
    seed: 7,
    reference: needsReference(objective),
  };
}

/** The records of a run with these losses, its weights by its own objective. */
export function recordsOf(
  inputs: GoldenInputs,
  proxy: RecordedProxy,
  heldOut?: (step: number) => Float64Array | undefined,
): StepRecord[] {
  const replay = new Replay(createObjective(proxy.objective, proxy.facts), proxy.facts);
  return inputs.steps.map(({ domain_ids: domains, mask, loss, ref }, i) => {
    const reference = proxy.reference ? ref.flat() : undefined;
    const sequences = sequenceStatistics({ loss: loss.flat(), reference, mask: mask.flat(), domains });
    const measured = heldOut?.(i + 1);
    replay.step({ sequences, heldOut: measured });
    return {
      step: i + 1,
      loss: 10 - i / 10,
      learningRate: 1e-3,
      gradientNorm: 1,
      tokens: sequences.tokens.reduce((sum, tokens) => sum + tokens, 0),
      durationMs: 1,
      waitMs: 0,
      ...(measured && { heldOut: measured }),
      proxy: {
        sequences,
        domains: domainStatistics(sequences, inputs.k),
        alpha: replay.alpha,
        average: replay.average,
      },
    };
  });
}

export function domainNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `domain-${i + 1}`);
}

/** trace.arrow and trajectory.arrow in the folder. @returns the trace's path */
export async function writeRun(
  folder: string,
  proxy: RecordedProxy,
  records: readonly StepRecord[],
  domains = domainNames(proxy.facts.domains),
): Promise<string> {
  const trajectory = new TrajectoryLog(join(folder, "trajectory.log"), domains, proxy);
  const trace = new TraceLog(join(folder, "trace.log"), domains, records[0]!.proxy!.sequences.domains.length, proxy);
  for (const record of records) {
    trajectory.add(record);
    trace.add(record);
  }
  await trajectory.write(join(folder, "trajectory.arrow"));
  trajectory.drop();
  await trace.write(join(folder, "trace.arrow"));
  trace.drop();
  return join(folder, "trace.arrow");
}
