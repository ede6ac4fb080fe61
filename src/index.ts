/**
 * doremi's public API: everything that the command line does, as functions. Pipelines whole or by stage; reading,
 * counting and tokenizing as async iterables; the mixture mathematics; the manifest; training.
 */

// Training
export { createCpuEngine } from "./engine/cpu.ts";
export type { Engine } from "./engine/engine.ts";
// Shards and tokenizers
export { inspectShard, readShard, readUnit } from "./formats/read.ts";
export type { ColumnSelection, ReadLimits, ShardLayout, ShardUnit, TextBatch } from "./formats/shard.ts";
export { openTokenStore, type TokenStore, TokenStoreWriter, tokenWindows } from "./formats/token-store.ts";
export { type CsvTable, parseCsv } from "./lib/csv.ts";
export type { ErrorCode, ErrorKind } from "./lib/error-codes.ts";
export { DoremiError } from "./lib/errors.ts";
export { VERSION } from "./lib/version.ts";
// The manifest
export type { Manifest, ManifestDomain, ManifestFile, SelectionRow } from "./manifest/contract.ts";
export type { VerifyProblem } from "./manifest/problems.ts";
export type { ManifestCursor, ManifestDocument } from "./manifest/read.ts";
export { loadManifest, readSelection } from "./manifest/read.ts";
export type { VerifyExtent, VerifyResult } from "./manifest/verify.ts";
// Mixture mathematics (float64)
export { allocate, allocateWithBounds, cappedShares } from "./mixture/allocation.ts";
export { naturalWeights, temperatureWeights, uniformWeights, unimax } from "./mixture/baselines.ts";
export {
  type DomainStatistics,
  domainStatistics,
  nextAverage,
  type Objective,
  type ObjectiveFacts,
  type ObjectiveState,
  type ObjectiveStep,
  type SequenceStatistics,
  sequenceStatistics,
  uniformFacts,
} from "./mixture/objective.ts";
export {
  type BallSettings,
  DOREMI_PRESETS,
  type DoReMiSettings,
  type ErmSettings,
  type GroupDroSettings,
  needsReference,
  OBJECTIVE_NAMES,
  type ObjectiveName,
  type ObjectiveSettings,
  type TopicCvarSettings,
} from "./mixture/objective-settings.ts";
export { createObjective } from "./mixture/objectives.ts";
export { type MixtureRuns, readRuns } from "./mixture/regression/runs.ts";
export {
  bestMixture,
  type FittedRegression,
  fitRegression,
  type RegressionResult,
  type RegressionSettings,
} from "./mixture/regression.ts";
export { type DomainWeights, matchWeights, normaliseWeights, parseWeightsFile } from "./mixture/weights.ts";
// Pipelines
export { STAGE_NAMES, type StageName } from "./pipeline/bindings.ts";
export { type EvaluationPlan, planEvaluation } from "./pipeline/evaluation/plan.ts";
export { type EvaluationResult, runEvaluation } from "./pipeline/evaluation/run.ts";
export { type ExportOptions, type ExportResult, exportManifest } from "./pipeline/export.ts";
export { definePipeline, type LoadOptions, loadPipeline, type Pipeline, parsePipeline } from "./pipeline/load.ts";
export { type MaterializeOptions, type MaterializeResult, materialize } from "./pipeline/materialize.ts";
export { type PipelinePlan, type PlannedDomain, planPipeline } from "./pipeline/plan.ts";
export type { PlannedStage } from "./pipeline/plan-stages.ts";
export { type ReadOptions, readManifest } from "./pipeline/read-manifest.ts";
export { type RunOptions, type RunResult, runPipeline } from "./pipeline/run.ts";
export { type PipelineFile, pipelineSchema } from "./pipeline/schema.ts";
export { type VerifyPipelineOptions, verify } from "./pipeline/verify.ts";
// Plug-ins: a stage of one's own, a transform between reading and counting
export type { Stage, StageContext, StageEvent } from "./stages/stage.ts";
// Streams
export {
  type CorpusBatch,
  type CountedBatch,
  countTokens,
  type EncodedBatch,
  encodeTokens,
  type ReadCorpusOptions,
  readCorpus,
} from "./stages/streams.ts";
// Recordings of a proxy, and what other objectives make of them
export { openRecording, type RecordedStep, type Recording } from "./stages/trace-read.ts";
export {
  type ReplayOptions,
  type ReplayResult,
  type ReplayWeights,
  type Reproduction,
  replayRecording,
} from "./stages/trace-replay.ts";
export type { Transform, TransformContext } from "./stages/transform.ts";
export { LocalStorage } from "./storage/local.ts";
export type { RandomAccessFile, Storage } from "./storage/storage.ts";
export { openTokenizer } from "./tokenizer/open.ts";
export { resolveTokenizer } from "./tokenizer/resolve.ts";
export type { Tokenizer, TokenizerDescriptor } from "./tokenizer/tokenizer.ts";
export { createBatchSource, evaluationBatches, type SequenceReader } from "./trainer/batches.ts";
export type {
  BatchSource,
  ModelConfig,
  OptimizerConfig,
  ProxyRecord,
  StepRecord,
  TrainingBatch,
} from "./trainer/contract.ts";
export { LossModel } from "./trainer/evaluate.ts";
export { initializeWeights, type ModelWeights } from "./trainer/initialization.ts";
export { type CompleteModel, completeModel, countParameters, type ParameterCount } from "./trainer/model.ts";
export { loadModel, saveModel } from "./trainer/model-folder.ts";
export { PRESETS, type PresetName } from "./trainer/presets.ts";
export { type TrainResult, train } from "./trainer/train.ts";
export type { ProxyOptions, TrainOptions } from "./trainer/train-options.ts";
