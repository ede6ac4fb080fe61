/** What `doremi weights` is asked, and what it has to show. */
import type { FitQuality } from "../mixture/regression.ts";
import type { ResolvedWeights } from "../pipeline/domain-settings.ts";
import type { CommonOptions } from "./session.ts";

export interface WeightsOptions extends CommonOptions {
  readonly output?: string;
  /** false: --no-plugins */
  readonly plugins?: boolean;
  readonly counts?: string;
  readonly tokenizer?: string;
  readonly method?: readonly string[];
  readonly temperature?: number;
  readonly exponent?: number;
  readonly maxEpochs?: number;
  readonly budget?: number | "auto";
  readonly regression?: string;
  readonly losses?: string;
  readonly target?: readonly string[];
  readonly fit?: "log-linear" | "linear" | "trees";
  readonly search?: "exact" | "simulate";
  readonly prior?: string;
  readonly kl?: number;
  readonly seed?: number;
  readonly out?: string;
}

export interface DomainSizes {
  readonly domains: readonly string[];
  readonly tokens: readonly number[];
}

/** What one method makes of it. */
export interface Weighed extends ResolvedWeights {
  readonly method: string;
  readonly domains: readonly string[];
  readonly regression?: RegressionFacts;
}

/** How well the law fits all that is minimised, and each target. */
export interface RegressionFacts extends FitQuality {
  readonly runs: number;
  readonly predictedLoss: number;
  /** at the prior */
  readonly priorLoss: number;
  readonly targets: readonly FitQuality[];
  readonly warnings: readonly string[];
}
