/** Small trainings that go wrong in one way each, and what is said of them; and one that goes well, of which nothing is. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { DOREMI_PRESETS, type ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createBatchSource, evaluationBatches, type SequenceReader } from "../../src/trainer/batches.ts";
import { Diagnosis } from "../../src/trainer/diagnosis.ts";
import type { TrainingWarning } from "../../src/trainer/diagnosis-contract.ts";
import { train } from "../../src/trainer/train.ts";
import type { TrainOptions } from "../../src/trainer/train-options.ts";
import { ADAMW, proxyOf, randomReaders, TINY } from "./tiny.ts";

const NAMES = ["books", "law", "web"];
const K = NAMES.length;
const B = 6;
const T = TINY.sequenceLength;
const STEPS = 120;
const BALANCED = NAMES.map(() => 1);
const calm: ObjectiveSettings = { ...DOREMI_PRESETS.paper, eta: 0.1 };

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

interface Course extends Partial<Pick<TrainOptions, "optimizer" | "heldOut">> {
  readonly steps?: number;
  /** null: a reference */
  readonly objective?: ObjectiveSettings | null;
  readonly sampling?: readonly number[];
  readonly readers?: readonly SequenceReader[];
  /** what the reference loses on a domain's tokens; default: as much as the proxy that has learned which ids it has */
  reference?(domain: number, step: number): number;
}

async function warningsOf(course: Course): Promise<TrainingWarning[]> {
  const { steps = STEPS, objective = calm, sampling = BALANCED, readers = randomReaders(K, 400) } = course;
  const { optimizer = ADAMW, reference = () => Math.log(16), heldOut } = course;
  const batches = createBatchSource({ readers, weights: sampling, batchSize: B, sequenceLength: T, seed: 1 });
  const proxy = objective && proxyOf(K, objective);
  const diagnosis = new Diagnosis({
    steps,
    vocabularySize: TINY.vocabularySize,
    domains: NAMES,
    epochs: readers.map(({ sequences }, domain) => {
      const share = sampling[domain]! / sampling.reduce((sum, weight) => sum + weight, 0);
      return (share * steps * B) / sequences;
    }),
    ...(proxy && { proxy: { objective: proxy.objective, start: proxy.facts.start } }),
  });
  const warnings: TrainingWarning[] = [];
  await train({
    ...{ engine, model: TINY, optimizer, steps, seed: 1 },
    ...(heldOut && { heldOut }),
    batches: {
      ...batches,
      async batch(step) {
        const batch = await batches.batch(step);
        if (!proxy) return batch;
        const losses = Float32Array.from(batch.inputs, (_, i) => reference(batch.domains[Math.floor(i / T)]!, step));
        return { ...batch, reference: losses };
      },
    },
    ...(proxy && { proxy }),
    onStep: (record) => void warnings.push(...diagnosis.observe(record)),
  });
  return [...warnings, ...diagnosis.finish()];
}

const codes = (warnings: readonly TrainingWarning[]) =>
  warnings.map(({ code, domain }) => (domain === undefined ? code : `${code} ${domain}`));

it("that go well: no word", async () => {
  expect(await warningsOf({})).toEqual([]);
  expect(await warningsOf({ objective: null })).toEqual([]);
}, 60_000);

it("weights that collapse onto a domain which the reference knows and the proxy cannot learn", async () => {
  const warnings = await warningsOf({
    objective: { ...calm, eta: 0.3 },
    reference: (domain) => (domain === 1 ? 0 : 4),
  });
  expect(codes(warnings)).toEqual(["weights-collapsed law"]);
}, 60_000);

it("weights that each batch throws to its only domain, and no longer at the step size that the warning names", async () => {
  const oneDomain = (step: number) => step % K;
  const thrown = (eta: number) =>
    warningsOf({
      objective: { ...DOREMI_PRESETS.paper, eta },
      reference: (domain, step) => (domain === oneDomain(step) ? 0 : 4),
    });
  const [warning] = await thrown(2);
  expect(warning!.code).toBe("weights-oscillating");
  const calmer = Number(/about ([\d.]+) is calm here/.exec(warning!.message)![1]);
  expect(calmer).toBeLessThan(0.2);
  expect(codes(await thrown(calmer))).toEqual([]);
}, 60_000);

it("a domain that is never drawn", async () => {
  expect(codes(await warningsOf({ sampling: [1, 0, 1] }))).toEqual(["domain-never-seen law"]);
}, 60_000);

it("a reference that knows less than the proxy of every domain", async () => {
  expect(codes(await warningsOf({ reference: () => 5 }))).toEqual(["no-excess"]);
}, 60_000);

it("a learning rate that is too low, and one that is too high", async () => {
  const at = (learningRate: number) => ({ ...ADAMW, learningRate, finalLearningRate: learningRate, clipNorm: 0 });
  for (const objective of [null, calm]) {
    const low = await warningsOf({ optimizer: at(1e-7), objective });
    expect(codes(low)).toEqual(["loss-not-falling"]);
    expect(low[0]!.message).toContain("larger learning rate");
    const high = await warningsOf({ optimizer: at(3), objective });
    // losses that have gone wild throw the weights about as well
    const risen = high.find(({ code }) => code === "loss-not-falling");
    expect(risen!.message).toContain("smaller learning rate");
  }
}, 60_000);

it("weights that still move when the steps are over", async () => {
  const warnings = await warningsOf({
    objective: { ...calm, eta: 0.012 },
    reference: (domain, step) => (domain === 1 && step > STEPS / 2 ? 0 : Math.log(16)),
  });
  expect(codes(warnings)).toEqual(["weights-still-moving"]);
  expect(warnings[0]).toMatchObject({ step: STEPS, message: expect.stringContaining("(most: law from 0.") });
}, 60_000);

it("a domain of two sequences that is learned by heart", async () => {
  const readers = randomReaders(K, 400);
  const small = readers.map((reader, domain) => (domain === 2 ? { ...reader, sequences: 2 } : reader));
  const unseen = readers.map(({ sequence }) => ({ sequences: 8, sequence: (i: number) => sequence(1000 + i) }));
  const batches = async () => [
    ...evaluationBatches({ readers: unseen, batchSize: B, sequenceLength: T, maxSequences: 8 }),
  ];
  const warnings = await warningsOf({ readers: small, heldOut: { every: 15, batches } });
  expect(new Set(codes(warnings))).toEqual(new Set(["overfitting web"]));
  expect(warnings[0]!.message).toMatch(
    /^web: held-out loss has risen from \d\.\d+ to \d\.\d+, while the loss in training/,
  );
}, 60_000);
