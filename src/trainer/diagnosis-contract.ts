/** What a diagnosis is told of a training, and what it says. Plain data. */
import type { ObjectiveSettings } from "../mixture/objective-settings.ts";
import type { ProxyRecord, StepRecord } from "./contract.ts";

export const WARNING_CODES = [
  "weights-collapsed",
  "weights-oscillating",
  "weights-still-moving",
  "weights-swinging",
  "too-few-steps",
  "domain-never-seen",
  "no-excess",
  "loss-not-falling",
  "worse-than-uniform",
  "overfitting",
] as const;
export type WarningCode = (typeof WARNING_CODES)[number];

export interface TrainingWarning {
  readonly code: WarningCode;
  /** what was found, and what to change */
  readonly message: string;
  /** after which it was found */
  readonly step: number;
  /** name of the domain that it is about */
  readonly domain?: string;
}

export interface DiagnosisSettings {
  /** that the training is to take */
  readonly steps: number;
  /** V of the model */
  readonly vocabularySize: number;
  /** names */
  readonly domains: readonly string[]; // [K]
  /** how often all steps together go through the text that there is of each domain */
  readonly epochs: readonly number[]; // [K]
  /** of a proxy */
  readonly proxy?: {
    readonly objective: ObjectiveSettings;
    /** weights before the first step; Σ = 1 */
    readonly start: readonly number[]; // [K]
  };
}

/** What it looks at of a step's record. */
export type DiagnosedStep = Pick<StepRecord, "step" | "loss" | "heldOut"> & {
  readonly proxy?: Pick<ProxyRecord, "domains" | "alpha">;
};

/** What one look finds, said before or not. */
export interface Finding {
  readonly code: WarningCode;
  readonly message: string;
  /** index */
  readonly domain?: number;
  /** how bad it is; a finding without says the same once and for all */
  readonly severity?: number;
}

/** Mean held-out loss and tokens of each domain; null where it holds nothing out. */
export interface HeldOutLosses {
  readonly loss: readonly (number | null)[]; // [K]
  readonly tokens: readonly number[]; // [K]
}
