/** What memory the training stages of a pipeline will need, and what to set where that is more than there is. */
import { chooseEngine } from "../engine/choose.ts";
import { type AvailableMemory, availableMemory } from "../lib/available-memory.ts";
import { formatBytes } from "../lib/byte-size.ts";
import { needsReference } from "../mixture/objective-settings.ts";
import type { ModelConfig } from "../trainer/contract.ts";
import {
  adviceText,
  adviseMemory,
  type MemoryNeed,
  type MemorySettings,
  refuseTooLarge,
  trainingMemory,
} from "../trainer/memory.ts";
import type { PipelineFile } from "./schema.ts";
import { optimizerOf } from "./training-bindings.ts";

/** On the processors of this machine: of a device's memory nothing is said. */
export interface PlannedMemory {
  readonly machine: AvailableMemory;
  /** null: not trained here */
  readonly reference: MemoryNeed | null;
  readonly proxy: MemoryNeed;
  /** what will not fit, and what to set */
  readonly warnings: readonly string[];
}

/**
 * @param model of the proxy, and of the reference where it is trained
 * @param external the reference, where it is given
 * @returns null where another engine is set, whose memory is not the machine's
 */
export function planMemory(
  train: PipelineFile["train"],
  model: ModelConfig,
  external: ModelConfig | null,
  machine: AvailableMemory,
): PlannedMemory | null {
  const { engine, reference } = train;
  if (engine !== "cpu" && engine !== "auto") return null;
  const common = commonSettings(train, model);
  const needed = needsReference(train.proxy.objective);
  const trained = needed && reference.model === undefined;
  // auto may come to resident, which needs more
  const resident = needed && train.proxy.referenceLosses !== "cached" ? (external ?? model) : null;
  const proxy: MemorySettings = { ...common, proxy: { resident, accumulation: train.accumulation } };
  return {
    machine,
    reference: trained ? trainingMemory(common) : null,
    proxy: trainingMemory(proxy),
    warnings: [...(trained ? warningOf("reference", common, machine) : []), ...warningOf("proxy", proxy, machine)],
  };
}

type TrainedSettings = Pick<PipelineFile["train"], "optimizer" | "batchSize" | "microBatch" | "recompute">;

/** Of any training, a proxy's too, whose reference may be elsewhere. */
function commonSettings(train: TrainedSettings, model: ModelConfig): MemorySettings {
  const { optimizer, batchSize, microBatch = batchSize, recompute } = train;
  return { model, optimizer: optimizerOf(optimizer, 0), batchSize, microBatch, recompute };
}

/**
 * Refuses before anything is counted what surely cannot fit on the processors of this machine, if they are to train it.
 *
 * @param model as far as it is known: of a vocabulary that is to be cut, one token  @throws DoremiError memory
 */
export async function checkTrainingMemory(
  train: TrainedSettings & Pick<PipelineFile["train"], "engine">,
  model: ModelConfig,
  { limit }: AvailableMemory = availableMemory(),
): Promise<void> {
  const { engine } = train;
  const settings = commonSettings(train, model);
  try {
    refuseTooLarge(settings, limit);
  } catch (error) {
    // A batch is made here, whatever computes on it.
    const here = engine === "cpu" || trainingMemory(settings).batch > limit;
    if (here || (engine === "auto" && (await chooseEngine()).name === "cpu")) throw error;
  }
}

/** That a training will not fit, and what to set; nothing where it does. */
export function warningOf(stage: string, settings: MemorySettings, { available, limit }: AvailableMemory): string[] {
  const { total } = trainingMemory(settings);
  if (total <= available) return [];
  const remedy = adviceText(settings, adviseMemory(settings, available));
  const found =
    total <= limit
      ? `only ${formatBytes(available)} of ${formatBytes(limit)} are free now: free some, or`
      : `there are ${formatBytes(limit)}:`;
  return [`${stage} needs about ${formatBytes(total)} of memory, and ${found} ${remedy}`];
}
