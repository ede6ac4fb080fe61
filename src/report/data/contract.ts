/**
 * What a report shows, as plain data: everything that the charts, the tables and the page take, and nothing else. It is
 * embedded in the page as JSON, so its size is bounded whatever the run's; arrays by domain are in the order of `domains`.
 */
import type { RunStatus, StageStatus, StatusMessage } from "../../pipeline/status.ts";
import type { LiveRunState } from "../live/state.ts";
import type { DomainSeriesName, Extremes } from "../series.ts";

/** raised when a field changes its meaning: a page shows the data that it was written with, and no other */
export const REPORT_VERSION = 1;

/** Float32 numbers, little-endian, in base64: half the bytes of their decimals. NaN where there is none. */
export type PackedNumbers = string;

export interface ReportRun {
  readonly folder: string;
  readonly pipeline: string | null;
  readonly state: LiveRunState;
  readonly error: RunStatus["error"];
  /** ISO 8601; null where no run says */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly command: readonly string[];
  readonly doremi: string | null;
  readonly node: string | null;
  readonly host: string | null;
}

export interface ReportCounts {
  readonly documents: readonly number[]; // [K]
  readonly bytes: readonly number[]; // [K]
  /** the first is the one that weights and budgets are in */
  readonly tokenizers: readonly {
    readonly name: string;
    readonly fingerprint: string;
    readonly vocabularySize: number;
    readonly tokens: readonly number[]; // [K]
  }[];
  readonly shards: number;
}

/** Tokens of a document, under the first tokenizer. */
export interface ReportLengths {
  readonly tokenizer: string;
  /** quantiles of each domain; null where it has no document */
  readonly domains: readonly (LengthQuantiles | null)[]; // [K]
  /** [K][bin]: documents of 2^bin tokens or more, and fewer than 2^(bin + 1); those of none are in the first */
  readonly histogram: readonly (readonly number[])[];
  /** shards that were looked at, of all */
  readonly shards: { readonly read: number; readonly all: number };
}

export interface LengthQuantiles {
  readonly documents: number;
  readonly mean: number;
  readonly min: number;
  readonly p5: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly max: number;
}

export interface ReportTraining {
  readonly stage: string;
  readonly kind: "reference" | "proxy" | "main";
  readonly finished: boolean;
  readonly totalSteps: number | null;
  readonly steps: number;
  readonly stepsPerPoint: number;
  readonly step: PackedNumbers; // [P]
  readonly loss: PackedNumbers; // [P]
  readonly domains: Readonly<Partial<Record<DomainSeriesName, readonly ReportSeries[]>>> | null;
  readonly heldOut: { readonly step: readonly number[]; readonly loss: readonly PackedNumbers[] };
  /** held-out loss in the end, by domain; null of a training that is not done */
  readonly evaluation: readonly (number | null)[] | null;
}

export interface ReportSeries {
  /** null where there are so many trainings and domains that only the extremes are kept */
  readonly points: PackedNumbers | null;
  readonly extremes: { readonly [Name in keyof Extremes]: number | null };
}

export interface ReportWeights {
  /** what the reference was trained on, and how it came about; without a reference: shares of the tokens */
  readonly baseline: readonly number[];
  readonly baselineFrom: string;
  /** learned, or given; null where there are none yet */
  readonly learned: readonly number[] | null;
  readonly learnedFrom: string | null;
  /** of the resampled set; null where there is none */
  readonly set: {
    readonly unit: string;
    readonly budgetTokens: number;
    readonly achievedTokens: number;
    readonly target: readonly number[];
    readonly achieved: readonly number[];
    readonly epochs: readonly number[];
    readonly maxEpochs: readonly (number | null)[];
    readonly capped: readonly boolean[];
    readonly floored: readonly boolean[];
    readonly selectedDocuments: readonly number[];
  } | null;
}

/** Of several rounds or seeds. */
export interface ReportRounds {
  readonly converged: boolean | null;
  readonly rounds: readonly {
    readonly round: number;
    readonly reference: readonly number[];
    readonly mean: readonly number[];
    readonly change: number;
    readonly changedMost: string;
    readonly seeds: readonly { readonly stage: string; readonly weights: readonly number[] }[];
  }[];
}

export interface Estimate {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface ReportEvaluation {
  readonly steps: number;
  readonly tokensEach: number;
  readonly seeds: number;
  readonly confidence: number;
  readonly domains: readonly string[];
  readonly mixtures: readonly {
    readonly name: string;
    readonly sameAs: string | null;
    readonly loss: readonly (Estimate | null)[];
  }[];
  readonly comparisons: readonly {
    readonly baseline: string;
    readonly candidate: string;
    readonly conclusion: string;
    /** candidate − baseline: below 0 is better */
    readonly domains: readonly ({ readonly name: string; readonly verdict: string } & Estimate)[];
  }[];
  readonly warnings: readonly string[];
}

/** Tokens, by domain. */
export interface ReportFlow {
  readonly used: readonly number[];
  /** read again: on top of what there is */
  readonly repeated: readonly number[];
  readonly heldOut: readonly number[];
  readonly unused: readonly number[];
  /** shards of each domain; 0 where a column says the domain */
  readonly shards: readonly number[];
  /** each shard, where they are few; its tokens go to one domain */
  readonly files: readonly { readonly path: string; readonly domain: number; readonly tokens: number }[];
}

export interface ReportStage extends StageStatus {
  readonly version: number | null;
  readonly key: string | null;
  readonly files: number | null;
  readonly bytes: number | null;
}

export interface ReportData {
  readonly format: "doremi-report";
  readonly version: typeof REPORT_VERSION;
  /** ISO 8601 */
  readonly madeAt: string;
  readonly madeBy: string;
  readonly run: ReportRun;
  readonly domains: readonly string[]; // [K]
  readonly counts: ReportCounts | null;
  readonly lengths: ReportLengths | null;
  readonly trainings: readonly ReportTraining[];
  readonly weights: ReportWeights | null;
  readonly rounds: ReportRounds | null;
  readonly evaluation: ReportEvaluation | null;
  readonly flow: ReportFlow | null;
  readonly stages: readonly ReportStage[];
  readonly messages: readonly (Omit<StatusMessage, "at"> & { readonly at: string | null })[];
  /** of the pipeline, as indented JSON; null where no run says */
  readonly settings: string | null;
  /** name and value of every fingerprint and hash that says what this is */
  readonly hashes: readonly (readonly [name: string, value: string])[];
  /** what is in the folder and could not be shown */
  readonly problems: readonly string[];
}
