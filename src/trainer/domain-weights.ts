/**
 * The domain weights of a proxy between its steps, in float64: what each step's losses make of them by its objective,
 * their average, and whether the average has settled. The graph computes the same step in float32 for its gradient, from
 * the same state.
 */
import {
  domainStatistics,
  nextAverage,
  type Objective,
  type ObjectiveFacts,
  type ObjectiveState,
  sequenceStatistics,
} from "../mixture/objective.ts";
import { averagesStart } from "../mixture/objective-settings.ts";
import type { ProxyRecord, TrainingBatch } from "./contract.ts";

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
  readonly objective: Readonly<Record<string, readonly number[]>>;
  readonly alpha: readonly number[];
  readonly average: readonly number[];
  /** Σ of alpha over the steps so far, and up to each multiple of `every`; 0 and empty without a criterion */
  readonly sum: readonly number[];
  readonly sums: readonly (readonly number[])[];
}

export class DomainWeights {
  readonly #domains: number;
  readonly #objective: Objective;
  readonly #settle: SettleCriterion | undefined;
  #step: number;
  #state: ObjectiveState;
  #alpha: Float64Array;
  #average: Float64Array;
  #sum: Float64Array;
  readonly #sums: Float64Array[];

  constructor(
    objective: Objective,
    { domains, start }: Pick<ObjectiveFacts, "domains" | "start">,
    settle?: SettleCriterion,
    stored?: DomainWeightsState,
  ) {
    this.#domains = domains;
    this.#objective = objective;
    this.#settle = settle;
    this.#step = stored?.step ?? 0;
    this.#state = stored
      ? Object.fromEntries(Object.entries(stored.objective).map(([name, values]) => [name, Float64Array.from(values)]))
      : objective.init();
    this.#alpha = Float64Array.from(stored?.alpha ?? start);
    this.#average = Float64Array.from(stored?.average ?? start);
    this.#sums = (stored?.sums ?? []).map((sum) => Float64Array.from(sum));
    this.#sum = Float64Array.from(stored?.sum ?? new Array<number>(domains).fill(0));
  }

  /** after the last step [K] */
  get alpha(): Float64Array {
    return this.#alpha;
  }

  /** mean over the steps so far [K] */
  get average(): Float64Array {
    return this.#average;
  }

  /** what the next step starts from */
  get before(): { readonly state: ObjectiveState; readonly alpha: Float64Array } {
    return { state: this.#state, alpha: this.#alpha };
  }

  /** @throws DoremiError non-finite-excess */
  update(batch: TrainingBatch, loss: Float32Array, reference: Float32Array | undefined): ProxyRecord {
    const sequences = sequenceStatistics({ ...batch, loss, reference });
    const { state, alpha } = this.#objective.step(this.#state, sequences);
    this.#step++;
    this.#state = state;
    this.#alpha = alpha;
    this.#average = nextAverage(this.#average, alpha, this.#step, averagesStart(this.#objective.settings));
    if (this.#settle) {
      this.#sum = this.#sum.map((sum, domain) => sum + alpha[domain]!);
      if (this.#step % this.#settle.every === 0) this.#sums.push(this.#sum.slice());
    }
    return { sequences, domains: domainStatistics(sequences, this.#domains), alpha, average: this.#average };
  }

  /** Takes in what the model's held-out losses are after the last step. */
  observe(heldOut: Float64Array): void {
    this.#state = this.#objective.observe?.(this.#state, heldOut) ?? this.#state;
  }

  /** Looked at after every second `every`, where the steps can be halved. */
  get settled(): boolean {
    if (!this.#settle) return false;
    const { every, tolerance } = this.#settle;
    const looks = this.#step / every;
    if (looks === 0 || looks % 2 !== 0) return false;
    const half = this.#sums[looks / 2 - 1]!;
    const whole = this.#sums[looks - 1]!;
    const steps = this.#step / 2;
    return half.every((sum, domain) => Math.abs(whole[domain]! - 2 * sum) / steps < tolerance);
  }

  save(): DomainWeightsState {
    return {
      step: this.#step,
      objective: Object.fromEntries(Object.entries(this.#state).map(([name, values]) => [name, [...values]])),
      alpha: [...this.#alpha],
      average: [...this.#average],
      sum: [...this.#sum],
      sums: this.#sums.map((sum) => [...sum]),
    };
  }
}
