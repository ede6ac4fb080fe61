/**
 * Sizes of the small models and their training that suit a corpus and a machine, with the reason of each. Pure. They are
 * where to begin: `doremi plan` says what comes of them.
 */
import { formatCount, type Setting } from "./setting.ts";
import type { Estimate } from "./survey.ts";

export interface Machine {
  /** processors */
  readonly cores: number;
}

/** Below it, models of short sequences that see all of it in minutes. */
const SMALL_TOKENS = 50e6;
/** From so many processors on, a larger proxy ends in the same time. */
const MANY_CORES = 16;
/** A share of 1 % of fewer documents than these is too little to measure a loss on. */
const FEW_DOCUMENTS = 20_000;
const SMALL = { batchSize: 32, sequenceLength: 64, mostSteps: 500, leastSteps: 100 };
const LARGE_STEPS = 5000;

export function trainingSettings({ tokens }: Estimate, { cores }: Machine): Setting[] {
  const isSmall = tokens < SMALL_TOKENS;
  const perStep = SMALL.batchSize * SMALL.sequenceLength;
  const fit = Math.round(tokens / perStep / 50) * 50;
  const smallSteps = Math.min(SMALL.mostSteps, Math.max(SMALL.leastSteps, fit));
  const steps = isSmall ? smallSteps : LARGE_STEPS;
  const of = `about ${formatCount(tokens)} tokens`;
  if (isSmall) {
    return [
      {
        path: "train.model",
        value: { preset: "1M", sequenceLength: SMALL.sequenceLength },
        why: `small and of short sequences, because the corpus has ${of}`,
      },
      { path: "train.vocabulary", value: "occurring", why: "little text has few of a vocabulary's tokens" },
      {
        path: "train.batchSize",
        value: SMALL.batchSize,
        why: "so many short ones that each domain is in nearly every batch",
      },
      {
        path: "train.optimizer",
        value: { learningRate: 0.005, finalLearningRate: 0.0005 },
        why: "higher than the default, for a small model and few steps",
      },
      {
        path: "train.reference.steps",
        value: steps,
        why: `${formatCount(steps * perStep)} tokens, of ${of}`,
      },
      { path: "train.proxy.steps", value: steps },
      etaSetting,
    ];
  }
  const preset = cores >= MANY_CORES ? "15M" : "4M";
  return [
    { path: "train.model.preset", value: preset, why: `for the ${cores} processors of this machine; a GPU takes more` },
    { path: "train.reference.steps", value: steps, why: "doremi plan says how long they take" },
    { path: "train.proxy.steps", value: steps },
    etaSetting,
  ];
}

const etaSetting: Setting = {
  path: "train.proxy.eta",
  value: 0.1,
  why: "the paper's 1 is for 200,000 steps; over so few the weights need a smaller one to settle",
};

export function heldOutShare({ documents }: Estimate): Setting {
  const isFew = documents < FEW_DOCUMENTS;
  return {
    path: "data.heldOut",
    value: { fraction: isFew ? 0.05 : 0.01, minDocuments: 4 },
    why: isFew ? `more than 1 %, because there are about ${formatCount(documents)} documents` : "",
  };
}
