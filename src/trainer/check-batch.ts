/** Refuses batches that would otherwise fail deep inside an engine, or worse, not fail. */
import { DoremiError } from "../lib/errors.ts";
import type { BatchSource, ModelConfig, TrainingBatch } from "./contract.ts";

/** @throws DoremiError batch */
export function checkBatch(
  batch: TrainingBatch,
  step: number,
  { batchSize, domains }: Pick<BatchSource, "batchSize" | "domains">,
  { sequenceLength, vocabularySize }: Pick<ModelConfig, "sequenceLength" | "vocabularySize">,
): void {
  const tokens = batchSize * sequenceLength;
  const refuse = (what: string): never => {
    throw new DoremiError("bad-data", "batch", `batch of step ${step}: ${what}`);
  };
  for (const name of ["inputs", "targets", "mask", "reference"] as const) {
    const values = batch[name];
    if (values && values.length !== tokens)
      refuse(`${name} must hold ${batchSize} × ${sequenceLength} values, found ${values.length}`);
  }
  for (const ids of [batch.inputs, batch.targets]) {
    for (const id of ids) {
      if (id < 0 || id >= vocabularySize)
        refuse(
          `token ids must be in 0..${vocabularySize - 1}, found ${id}; the text was tokenized with another tokenizer`,
        );
    }
  }
  if (batch.domains.length !== batchSize)
    refuse(`domains must hold ${batchSize} values, found ${batch.domains.length}`);
  for (const domain of batch.domains)
    if (domain < 0 || domain >= domains) refuse(`domains must be in 0..${domains - 1}, found ${domain}`);
}
