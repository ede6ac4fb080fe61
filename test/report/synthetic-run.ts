/**
 * A run's folder of any number of domains, without hours of training: a real count and a real resampled set of a small made
 * corpus, and beside them trainings, rounds and an evaluation as their stages would leave them, drawn at random.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Rng } from "../../src/lib/rng.ts";
import { sequenceStatistics } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { definePipeline } from "../../src/pipeline/load.ts";
import { OutputFolder } from "../../src/pipeline/output-folder.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { combine } from "../../src/stages/mixture/run.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";

const TOKENIZER = fileURLToPath(new URL("../../pipelines/quickstart/tokenizer-4096.json", import.meta.url));

export interface SyntheticRun {
  readonly domains: readonly string[];
  /** of each domain */
  readonly shards?: number;
  readonly steps?: number;
  /** proxies: one, or of so many rounds of two seeds each */
  readonly rounds?: number;
  readonly evaluation?: boolean;
}

/** Names as corpora have them, of different lengths. */
export function domainNames(count: number): string[] {
  const kinds = ["web", "code", "books", "papers", "forum", "law", "news", "wiki", "math", "subtitles"];
  const languages = ["en", "de", "fr", "zh", "ja", "pt_br", "ar", "hi", "sw", "multilingual"];
  return Array.from({ length: count }, (_, i) => {
    const name = `${kinds[i % kinds.length]}_${languages[Math.floor(i / kinds.length) % languages.length]}`;
    return i < 100 ? name : `${name}_crawl_2026_${i}`;
  });
}

/** @param folder for the corpus and the run @returns the run's output folder */
export async function makeSyntheticRun(folder: string, options: SyntheticRun): Promise<string> {
  const { domains, shards = 1, steps = 60, rounds = 1, evaluation = false } = options;
  const output = join(folder, "run");
  writeCorpus(join(folder, "corpus"), domains, shards);
  const pipeline = definePipeline(
    {
      ...{ version: 1, name: "synthetic", output, seed: 1, workers: 2, cache: false },
      tokenizer: TOKENIZER,
      data: {
        files: join(folder, "corpus", "*.jsonl"),
        domainColumn: "domain",
        domains: [...domains],
        heldOut: { fraction: 0.2, minDocuments: 1 },
      },
      count: { tokenizers: ["r50k"] },
      resample: { weights: "uniform", budgetTokens: "auto", maxEpochs: 3 },
    },
    { output },
  );
  await runPipeline(pipeline);
  const rng = new Rng(1, "synthetic");
  let drawn = 0;
  const draw = () => rng.uniform(drawn++);
  const target = new OutputFolder(output);
  const baseline = normalized(domains.map(() => 0.05 + draw() ** 3));
  const learned = normalized(baseline.map((weight) => weight * (0.4 + 1.4 * draw())));
  const stages = Array.from({ length: rounds }, (_, round) =>
    (rounds === 1 ? [1] : [1, 2]).map((seed) => ({ round: round + 1, seed })),
  ).flat();
  const results: {
    readonly stage: string;
    readonly round: number;
    readonly seed: number;
    readonly weights: number[];
  }[] = [];
  for (const { round, seed } of stages) {
    const suffix = `${round > 1 ? `-round-${round}` : ""}${seed > 1 ? `-seed-${seed}` : ""}`;
    const own = normalized(learned.map((weight) => weight * (0.9 + 0.2 * draw())));
    await makeTraining(target, `reference${suffix}`, { domains, steps, baseline, learned: null, draw });
    await makeTraining(target, `proxy${suffix}`, { domains, steps, baseline, learned: own, draw });
    results.push({ stage: `proxy${suffix}`, round, seed, weights: own });
  }
  if (rounds > 1) {
    const byRound = Array.from({ length: rounds }, (_, i) => results.filter(({ round }) => round === i + 1));
    const mixture = combine({ domains: [...domains], reference: baseline, tolerance: null, rounds: byRound });
    await publish(target, "mixture", mixture, {});
  }
  if (evaluation) await makeEvaluation(target, domains, { baseline, learned }, draw);
  return output;
}

function writeCorpus(folder: string, domains: readonly string[], shards: number): void {
  mkdirSync(folder, { recursive: true });
  const words = "the model learns how much of each domain it should read before it is asked anything at all".split(" ");
  const rng = new Rng(2, "corpus");
  let drawn = 0;
  const draw = () => rng.uniform(drawn++);
  for (let shard = 0; shard < shards; shard++) {
    const lines = domains.flatMap((domain, k) =>
      Array.from({ length: 5 + (k % 9) }, () => {
        const length = Math.ceil(4 * 2 ** (6 * draw()));
        const text = Array.from({ length }, () => words[Math.floor(draw() * words.length)]!).join(" ");
        return JSON.stringify({ domain, text });
      }),
    );
    writeFileSync(join(folder, `part-${String(shard).padStart(5, "0")}.jsonl`), `${lines.join("\n")}\n`);
  }
}

interface Training {
  readonly domains: readonly string[];
  readonly steps: number;
  readonly baseline: readonly number[];
  /** null for a reference */
  readonly learned: readonly number[] | null;
  readonly draw: () => number;
}

/** Losses that fall, weights that go from uniform to what is learned, and a trajectory of it. */
async function makeTraining(
  target: OutputFolder,
  stage: string,
  { domains, steps, baseline, learned, draw }: Training,
): Promise<void> {
  const K = domains.length;
  const table = (values: ArrayLike<number>) => Object.fromEntries(domains.map((name, k) => [name, values[k]!]));
  const folder = await target.workFolder(stage, key(stage));
  const shares = [...baseline];
  const proxy = learned && {
    objective: DOREMI_PRESETS.paper,
    facts: {
      domains: K,
      start: shares,
      sampling: shares,
      reference: shares,
      sizes: shares,
      sequenceLength: 8,
      vocabularySize: 50,
    },
    seed: 1,
    reference: true,
  };
  const log = new TrajectoryLog(join(folder, "trajectory.log"), domains, proxy);
  const level = domains.map(() => 3 + 2 * draw());
  const average = new Float64Array(K);
  for (let step = 1; step <= steps; step++) {
    const fall = 4 * Math.exp((-4 * step) / steps);
    const alpha = Float64Array.from(domains, (_, k) =>
      learned ? learned[k]! + (1 / K - learned[k]!) * Math.exp((-6 * step) / steps) : 1 / K,
    );
    for (let k = 0; k < K; k++) average[k]! += (alpha[k]! - average[k]!) / step;
    const loss = Float64Array.from(level, (own) => own + fall + 0.3 * (draw() - 0.5));
    const excess = loss.map(() => 0.2 + 0.2 * fall * draw());
    log.add({
      ...{
        step,
        loss: loss.reduce((sum, value) => sum + value, 0) / K,
        learningRate: 1e-3,
        gradientNorm: 1,
        tokens: 64 * K,
        durationMs: 1,
        waitMs: 0,
      },
      ...(step % Math.ceil(steps / 8) === 0 && { heldOut: loss }),
      ...(learned && {
        proxy: {
          sequences: sequenceStatistics({ loss: [], mask: [], domains: [] }),
          domains: {
            tokens: new Float64Array(K).fill(64),
            loss,
            excess,
            clipped: excess.map((value) => Math.max(0, value)),
          },
          ...{ alpha, average: average.slice() },
        },
      }),
    });
  }
  await log.write(join(folder, "trajectory.arrow"));
  log.drop();
  const common = {
    model: { path: "model", sha256: "0".repeat(64) },
    ...{ steps, trainedTokens: 64 * K * steps, finalLoss: 5, dataWait: 0, notes: [] },
    evaluation: { loss: level, tokens: domains.map(() => 100) },
  };
  const output = learned
    ? {
        ...common,
        weights: table(average),
        finalAlpha: table(learned),
        trajectory: "trajectory.arrow",
        trace: null,
        warnings: [{ code: "no-excess", step: 7, message: "no domain had an excess loss in 7 steps" }],
      }
    : { ...common, weights: table(baseline), weightsFrom: "natural", warnings: [] };
  await target.publish({ stage, version: 4 }, key(stage), output);
}

async function makeEvaluation(
  target: OutputFolder,
  domains: readonly string[],
  weights: { readonly baseline: readonly number[]; readonly learned: readonly number[] },
  draw: () => number,
): Promise<void> {
  const estimate = (mean: number) => {
    const half = 0.01 + 0.05 * draw();
    return {
      mean,
      interval: { low: mean - half, high: mean + half },
      standardError: half / 2,
      variance: { seeds: null, documents: null },
    };
  };
  const losses = domains.map(() => 3 + 2 * draw());
  const gains = domains.map(() => 0.3 * (draw() - 0.6));
  const mixture = (name: string, own: readonly number[], loss: readonly number[]) => ({
    ...{ name, from: name, sameAs: null },
    domains: own.map((weight, k) => ({ weight, epochs: 1, loss: estimate(loss[k]!), perplexity: Math.exp(loss[k]!) })),
    curve: { steps: [], loss: [] },
  });
  const compared = losses.map((loss, k) => ({
    baseline: estimate(loss),
    candidate: estimate(loss + gains[k]!),
    difference: estimate(gains[k]!),
    verdict: Math.abs(gains[k]!) < 0.06 ? "inside the noise" : gains[k]! < 0 ? "wins" : "loses",
  }));
  const model = {
    ...{
      architecture: "gpt2",
      vocabularySize: 50,
      sequenceLength: 8,
      width: 8,
      layers: 1,
      heads: 1,
      innerWidth: 8,
      tied: true,
      normEpsilon: 1e-5,
    },
    activation: "gelu",
  };
  await publish(
    target,
    "evaluate",
    {
      ...{
        format: "doremi-evaluation",
        pipeline: "synthetic",
        model,
        steps: 100,
        batchSize: 8,
        tokensEach: 6400,
        seeds: [1, 2, 3],
        confidence: 0.95,
      },
      domains: domains.map((name) => ({ name, share: 1 / domains.length, heldOutDocuments: 10, heldOutTokens: 1000 })),
      mixtures: [
        mixture("natural", weights.baseline, losses),
        mixture(
          "learned",
          weights.learned,
          losses.map((loss, k) => loss + gains[k]!),
        ),
      ],
      comparisons: [
        {
          ...{
            baseline: "natural",
            candidate: "learned",
            conclusion: "learned has a lower loss than natural on most domains.",
          },
          domains: compared.map((entry, k) => ({ ...entry, name: domains[k]! })),
          ...{
            average: compared[0]!,
            weighted: compared[0]!,
            worst: { ...compared[0]!, baselineDomain: domains[0]!, candidateDomain: domains[0]! },
          },
          ...{ wins: 1, losses: 1, undecided: 1, lower: 1, speedUp: null },
        },
      ],
      warnings: [],
    },
    {},
  );
}

async function publish(
  target: OutputFolder,
  stage: string,
  output: unknown,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = await target.workFolder(stage, key(stage));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  await target.publish({ stage, version: 1 }, key(stage), output);
}

function key(stage: string): string {
  return Buffer.from(stage.padEnd(32, "-")).toString("hex");
}

function normalized(values: readonly number[]): number[] {
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
