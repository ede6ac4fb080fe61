/**
 * The domain weights of a proxy between its steps, in float64: what each step's losses make of them, their average, and
 * whether the average has settled. The graph computes the same update in float32 for its gradient, from these weights.
 */
import { type DoReMiState, domainExcess, initDoReMi, updateDoReMi } from "../mixture/doremi.ts";
import type { DoReMiConfig, StepRecord, TrainingBatch } from "./contract.ts";

/**
 * Stops a proxy whose result would change little. The average over the steps so far is split in halves; it has settled
 * when no domain's mean weight differs between them by `tolerance` or more.
 */
export interface SettleCriterion {
  /** largest difference of a domain's mean weight, in weight (0..1) */
  readonly tolerance: number;
  /** steps between looks; the first after twice as many */
  readonly every: number;
}

/** What a checkpoint holds. JSON keeps float64 exactly. */
export interface DomainWeightsState {
  readonly step: number;
  readonly alpha: readonly number[];
  readonly average: readonly number[];
  /** Σ of alpha over the steps so far, and up to each multiple of `every`; 0 and empty without a criterion */
  readonly sum: readonly number[];
  readonly sums: readonly (readonly number[])[];
}

export class DomainWeights {
  readonly #domains: number;
  readonly #config: DoReMiConfig;
  readonly #settle: SettleCriterion | undefined;
  #state: DoReMiState;
  #sum: Float64Array;
  readonly #sums: Float64Array[];

  constructor(domains: number, config: DoReMiConfig, settle?: SettleCriterion, stored?: DomainWeightsState) {
    this.#domains = domains;
    this.#config = config;
    this.#settle = settle;
    this.#state = stored
      ? { step: stored.step, alpha: Float64Array.from(stored.alpha), average: Float64Array.from(stored.average) }
      : initDoReMi(domains);
    this.#sums = (stored?.sums ?? []).map((sum) => Float64Array.from(sum));
    this.#sum = Float64Array.from(stored?.sum ?? new Array<number>(domains).fill(0));
  }

  /** after the last step [K] */
  get alpha(): Float64Array {
    return this.#state.alpha;
  }

  /** mean over the steps so far [K] */
  get average(): Float64Array {
    return this.#state.average;
  }

  /** @throws DoremiError non-finite-excess */
  update(batch: TrainingBatch, loss: Float32Array, reference: Float32Array): NonNullable<StepRecord["doremi"]> {
    const excess = domainExcess({ ...batch, loss, reference }, this.#domains);
    this.#state = updateDoReMi(this.#state, excess.clipped, this.#config);
    const { step, alpha, average } = this.#state;
    if (this.#settle) {
      this.#sum = this.#sum.map((sum, domain) => sum + alpha[domain]!);
      if (step % this.#settle.every === 0) this.#sums.push(this.#sum.slice());
    }
    return {
      excess: excess.clipped,
      alpha,
      average,
      domainTokens: excess.tokens,
      domainLoss: excess.loss.map((mean, domain) => (excess.tokens[domain] === 0 ? Number.NaN : mean)),
    };
  }

  /** Looked at after every second `every`, where the steps can be halved. */
  get settled(): boolean {
    if (!this.#settle) return false;
    const { every, tolerance } = this.#settle;
    const looks = this.#state.step / every;
    if (looks === 0 || looks % 2 !== 0) return false;
    const half = this.#sums[looks / 2 - 1]!;
    const whole = this.#sums[looks - 1]!;
    const steps = this.#state.step / 2;
    return half.every((sum, domain) => Math.abs(whole[domain]! - 2 * sum) / steps < tolerance);
  }

  save(): DomainWeightsState {
    const { step, alpha, average } = this.#state;
    return {
      step,
      alpha: [...alpha],
      average: [...average],
      sum: [...this.#sum],
      sums: this.#sums.map((sum) => [...sum]),
    };
  }
}
