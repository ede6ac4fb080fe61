/** What memory the training stages of a pipeline will need, and what to set where that is more than there is. Pure. */
import type { AvailableMemory } from "../lib/available-memory.ts";
import { needsReference } from "../mixture/objective-settings.ts";
import type { ModelConfig } from "../trainer/contract.ts";
import { adviceText, adviseMemory, type MemoryNeed, type MemorySettings, trainingMemory } from "../trainer/memory.ts";
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
  { engine, reference, ...train }: PipelineFile["train"],
  model: ModelConfig,
  external: ModelConfig | null,
  machine: AvailableMemory,
): PlannedMemory | null {
  if (engine !== "cpu" && engine !== "auto") return null;
  const common = {
    model,
    optimizer: optimizerOf(train.optimizer, 0),
    batchSize: train.batchSize,
    microBatch: train.microBatch ?? train.batchSize,
    recompute: train.recompute,
  };
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

/** That a training will not fit, and what to set; nothing where it does. */
export function warningOf(stage: string, settings: MemorySettings, { available, limit }: AvailableMemory): string[] {
  const { total } = trainingMemory(settings);
  if (total <= available) return [];
  const remedy = adviceText(settings, adviseMemory(settings, available));
  const found =
    total <= limit
      ? `only ${gigabytes(available)} of ${gigabytes(limit)} are free now: free some, or`
      : `there are ${gigabytes(limit)}:`;
  return [`${stage} needs about ${gigabytes(total)} of memory, and ${found} ${remedy}`];
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
