/** What the reference and the proxy stage share: the training's job from a stage's input, its record, its model. */
import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { needsReference } from "../mixture/objective-settings.ts";
import { CheckpointFiles } from "../trainer/checkpoint-files.ts";
import type { TrainingWarning } from "../trainer/diagnosis-contract.ts";
import { modelSha256 } from "../trainer/model-folder.ts";
import { VOCABULARY_FILE } from "../trainer/vocabulary.ts";
import type { FeedPlan, StorePlace } from "./feed-contract.ts";
import type { Evaluation, TrainingInput } from "./reference/contract.ts";
import { reporter, type StageContext } from "./stage.ts";
import type { TokenStoreReference } from "./tokenize/contract.ts";
import type { RecordedProxy } from "./trace-metadata.ts";
import type { HeldOutTracking, ProxySettings, StoredModel, TrainingOutcome } from "./training-contract.ts";
import { TrainingRecord } from "./training-record.ts";
import { runTrainer } from "./training-session.ts";

export const MODEL_FOLDER = "model";

/** In the stage's folder until the training is done. */
/** In the stage's folder, while it is at work. */
export const CHECKPOINTS = "checkpoints";
const REFERENCE_LOSSES = "reference-losses";

export interface TrainingRequest {
  readonly stage: "reference" | "proxy";
  readonly input: TrainingInput;
  readonly context: StageContext;
  /** told before the first step */
  readonly remarks?: readonly string[];
  /** sampling weights of the domains */
  readonly weights: readonly number[];
  /** steps between looks at the held-out loss, of all held-out sequences; default: as often as costs little */
  readonly evaluateEvery?: number | null;
  /** the same, of so many sequences; goes before it */
  readonly looks?: HeldOutTracking;
  /** a proxy's, and its reference's hash */
  readonly proxy?: ProxySettings & {
    readonly referenceSha256: string;
    readonly accumulation: "exact" | { readonly stale: number };
    /** keep what the objective saw of each step */
    readonly trace: boolean;
  };
}

export interface TrainingReport extends NonNullable<TrainingOutcome["trained"]> {
  readonly finalLoss: number;
  readonly trainedTokens: number;
  readonly evaluation: Evaluation;
  /** what was evaluated in the end, by domain */
  readonly sequences: TrainingOutcome["evaluation"]["sequences"];
  /** share of the training's time that the engine waited for batches; null where all steps were done before */
  readonly dataWait: number | null;
  readonly notes: readonly string[];
  /** what a diagnosis found wrong in the steps */
  readonly warnings: readonly TrainingWarning[];
}

/**
 * Trains and evaluates, with checkpoints in the stage's folder, and leaves the trajectory and the model there. The
 * checkpoints go last, so that an interrupted evaluation does not cost the training.
 */
export async function trainModel(request: TrainingRequest): Promise<TrainingReport> {
  const { stage, input, context, proxy } = request;
  const { tokens, model, optimizer, steps, seed, precision, batchSize } = input;
  const { folder, training } = context;
  const report = reporter(context, stage);
  const notes: string[] = [];
  const note = (message: string): void => {
    notes.push(message);
    report.note(message);
  };
  for (const remark of request.remarks ?? []) note(remark);
  const { accumulation = "exact", referenceSha256 = "" } = proxy ?? {};
  const microBatch = accumulation === "exact" ? training.microBatch : accumulation.stale;
  const losses = join(context.cache ?? folder, REFERENCE_LOSSES);
  const record = new TrainingRecord({
    ...{ folder, batchSize, steps, domains: names(input), epochs: epochsOf(request) },
    vocabularySize: model.vocabularySize,
    proxy: proxy ? recordedProxy(proxy, seed) : null,
    trace: proxy?.trace ?? false,
    onWarning: (warning) => context.emit({ type: "warning", stage, ...warning }),
  });
  const time = { training: 0, waiting: 0 }; // ms
  try {
    const { evaluation, trained } = await runTrainer({
      job: {
        engine: training.engine,
        threads: training.threads,
        domains: names(input),
        batchSize,
        model: {
          kind: "train",
          settings: {
            model,
            optimizer,
            steps,
            // Both models start from the same weights, so that what sets them apart is what they are trained on.
            seed,
            precision,
            recompute: training.recompute,
            accumulation: accumulation === "exact" ? "exact" : "stale",
            ...(microBatch !== null && { microBatch }),
          },
          checkpointEvery: training.checkpointEvery,
          heldOut: heldOutTracking(request),
          data: tokens.domains.map((domain) => domain[stage].fingerprint),
          proxy: proxy ? proxySettings(proxy) : null,
          folder: join(folder, MODEL_FOLDER),
          endOfText: tokens.vocabulary ? tokens.vocabulary.endOfText : tokens.tokenizer.endOfText,
        },
      },
      plan: feedPlan(
        request,
        proxy?.reference ? { setting: training.referenceLosses, folder: losses, model: referenceSha256 } : null,
      ),
      signal: context.signal,
      onRecord(step) {
        record.add(step);
        time.training += step.durationMs;
        time.waiting += step.waitMs;
        report.progress(step.step, steps, "steps", {
          loss: step.loss,
          tokensPerStep: step.tokens,
        });
      },
      onNote: note,
      onProgress: (done, total) => report.progress(done, total, "tokens"),
      checkpoints(configuration) {
        const options = { folder: join(folder, CHECKPOINTS), keep: training.keepCheckpoints, upTo: record.steps };
        const files = new CheckpointFiles({ ...options, onNote: note }, configuration);
        return {
          async load() {
            const checkpoint = await files.load();
            record.resume(checkpoint?.step ?? 0);
            return checkpoint;
          },
          async save(checkpoint) {
            record.flush(); // a checkpoint counts on the records of its steps
            await files.save(checkpoint);
          },
          idle: () => files.idle(),
        };
      },
    });
    if (tokens.vocabulary) {
      const ids = join(context.folderOf("tokenize"), tokens.vocabulary.path);
      await copyFile(ids, join(folder, MODEL_FOLDER, VOCABULARY_FILE));
    }
    record.diagnose(plainEvaluation(evaluation));
    const [finalLoss, trainedTokens, warnings] = [record.finalLoss(), record.tokens(), record.warnings];
    await record.write(); // may fill the disk: what is trained must not be lost by that
    await rm(join(folder, CHECKPOINTS), { recursive: true, force: true });
    await rm(join(folder, REFERENCE_LOSSES), { recursive: true, force: true });
    record.drop();
    const dataWait = time.training === 0 ? null : time.waiting / time.training;
    const trainedSteps = trained!.steps;
    context.emit({ type: "trained", stage, steps: trainedSteps, durationMs: time.training, dataWait });
    const evaluated = { evaluation: plainEvaluation(evaluation), sequences: evaluation.sequences };
    return { ...trained!, finalLoss, trainedTokens, ...evaluated, dataWait, notes, warnings };
  } finally {
    record.close();
  }
}

/** How often the training goes through the text of each domain that is tokenized for it. */
function epochsOf({ stage, input, weights }: Pick<TrainingRequest, "stage" | "input" | "weights">): number[] {
  const { tokens, steps, batchSize, model } = input;
  const drawn = (steps * batchSize * model.sequenceLength) / weights.reduce((sum, weight) => sum + weight, 0);
  return tokens.domains.map((domain, i) => (weights[i]! * drawn) / Math.max(1, domain[stage].tokens));
}

function recordedProxy({ objective, facts }: NonNullable<TrainingRequest["proxy"]>, seed: number): RecordedProxy {
  return { objective, facts, seed, reference: needsReference(objective) };
}

function proxySettings({ objective, facts, settle, reference }: NonNullable<TrainingRequest["proxy"]>): ProxySettings {
  return { objective, facts, reference, ...(settle && { settle }) };
}

/** Looks at the held-out loss in a training, and the share of its time that they may take together. */
const LOOKS = 8;
const LOOKS_SHARE = 0.02;
/** A sequence's losses without gradients, in the time of a step for a sequence. */
const FORWARD_SHARE = 1 / 3;
/** Fewer sequences of a domain say nothing. */
const FEWEST_SEQUENCES = 4;

function heldOutTracking({ input, evaluateEvery, looks }: TrainingRequest): HeldOutTracking | null {
  const { steps, batchSize, evaluationSequences, tokens } = input;
  if (!tokens.domains.some(({ heldOut }) => heldOut)) return null;
  if (looks) return looks;
  if (evaluateEvery) return { every: evaluateEvery, sequences: evaluationSequences };
  const affordable = (LOOKS_SHARE * steps * batchSize) / (FORWARD_SHARE * LOOKS * tokens.domains.length);
  const sequences = Math.min(evaluationSequences, Math.floor(affordable));
  return sequences < FEWEST_SEQUENCES ? null : { every: Math.ceil(steps / LOOKS), sequences };
}

/** Held-out loss, by domain, of a model that is there already. */
export async function evaluateModel(
  request: Pick<TrainingRequest, "stage" | "input" | "context" | "weights">,
  stored: StoredModel,
): Promise<Evaluation> {
  const { input, context } = request;
  const unused = (): never => {
    throw new RangeError("evaluation: nothing is trained");
  };
  const { evaluation } = await runTrainer({
    job: {
      engine: context.training.engine,
      threads: context.training.threads,
      domains: names(input),
      batchSize: input.batchSize,
      model: { kind: "stored", stored },
    },
    plan: feedPlan(request, null),
    signal: context.signal,
    onRecord: unused,
    onNote: (message) => reporter(context, request.stage).note(message),
    onProgress: unused,
    checkpoints: unused,
  });
  return plainEvaluation(evaluation);
}

function feedPlan(
  { stage, input, context, weights }: Pick<TrainingRequest, "stage" | "input" | "context" | "weights">,
  referenceLosses: FeedPlan["referenceLosses"],
): FeedPlan {
  const { tokens, batchSize, model, steps, seed, evaluationSequences } = input;
  const unfinished = context.unfinishedFolderOf?.("tokenize");
  const { vocabularySize } = tokens.tokenizer;
  const place = ({ path, fingerprint, tokens: count }: TokenStoreReference): StorePlace => ({
    path: join(context.folderOf("tokenize"), path),
    fingerprint,
    unfinished: unfinished === undefined ? null : { path: join(unfinished, path), tokens: count, vocabularySize },
  });
  return {
    names: names(input),
    stores: tokens.domains.map((domain) => place(domain[stage])),
    heldOut: tokens.domains.map(({ heldOut }) => heldOut && place(heldOut)),
    weights,
    batchSize,
    sequenceLength: model.sequenceLength,
    steps,
    // The proxy must not see the reference's order again where they share a domain's documents.
    seed: stage === "reference" ? seed : seed + 1,
    evaluationSequences,
    referenceLosses,
    vocabulary: tokens.vocabulary && join(context.folderOf("tokenize"), tokens.vocabulary.path),
  };
}

function names({ tokens }: TrainingInput): string[] {
  return tokens.domains.map((domain) => domain.name);
}

function plainEvaluation({ loss, tokens }: TrainingOutcome["evaluation"]): Evaluation {
  return { loss: [...loss], tokens: [...tokens] };
}

/** The stage's model, as its output refers to it. */
export async function modelReference({ folder }: StageContext): Promise<{ path: string; sha256: string }> {
  return { path: MODEL_FOLDER, sha256: await modelSha256(join(folder, MODEL_FOLDER)) };
}

/** Domain weights as a table by name. */
export function byName(keys: readonly string[], values: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(keys.map((name, i) => [name, values[i]!]));
}
