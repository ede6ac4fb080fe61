/**
 * The steps of a training thinned to a bounded number of points, however many there are. A point stands for a stretch of
 * steps of one length: weights are those of its last step, losses the mean over its tokens. What thinning would lose is kept
 * beside the points, exact: of each series the smallest and the largest value with their steps, and the last.
 */

import type { TrajectoryLayout } from "../stages/trajectory.ts";
import type { TrajectoryStretch } from "../stages/trajectory-read.ts";

/** By domain. reference: the reference model's loss on the proxy's tokens; excess: clipped at 0 where the objective clips. */
export const DOMAIN_SERIES = ["loss", "reference", "excess", "alpha", "average"] as const;
export type DomainSeriesName = (typeof DOMAIN_SERIES)[number];

/** NaN where a series has no value. */
export interface Extremes {
  readonly min: number;
  readonly minStep: number;
  readonly max: number;
  readonly maxStep: number;
  readonly last: number;
  readonly lastStep: number;
}

export interface DomainSeries {
  /** a value per point; NaN where the domain was in no batch of the stretch */
  readonly points: Float64Array;
  readonly extremes: Extremes;
}

export interface TrainingSeries {
  /** that were seen */
  readonly steps: number;
  /** in a point, but for the last, which may have fewer */
  readonly stepsPerPoint: number;
  /** the last step of each point */
  readonly step: Float64Array; // [P]
  /** mean over the tokens of the point */
  readonly loss: Float64Array; // [P]
  readonly learningRate: Float64Array; // [P]
  /** [K] of each; null of a training that learns no weights */
  readonly domains: Readonly<Record<DomainSeriesName, readonly DomainSeries[]>> | null;
  /** looks at the held-out loss, thinned to as many; `loss` is [K][looks], NaN where a domain holds nothing out */
  readonly heldOut: { readonly step: Float64Array; readonly loss: readonly Float64Array[] };
}

/** One point while it is being made. */
interface Point {
  step: number;
  tokens: number;
  /** sum over tokens */
  loss: number;
  learningRate: number;
  /** sums over tokens, and tokens [K]; then the last step's weights [K] */
  readonly domains: Record<"tokens" | "loss" | "signed" | "excess" | "alpha" | "average", Float64Array> | null;
}

/** Takes every step once, in order. */
export class SeriesSampler {
  readonly #layout: TrajectoryLayout;
  readonly #capacity: number;
  #points: Point[] = [];
  #stepsPerPoint = 1;
  #steps = 0;
  #looks: { readonly step: number; readonly loss: Float64Array }[] = [];
  #looksKept = 1;
  #looksSeen = 0;
  readonly #extremes: Record<DomainSeriesName, Tracker[]> | null;

  /** @param capacity points at most; at least half of it once there are as many steps */
  constructor(layout: TrajectoryLayout, capacity: number) {
    this.#layout = layout;
    this.#capacity = Math.max(4, 2 * Math.floor(capacity / 2));
    const trackers = () => Array.from({ length: layout.domains }, () => new Tracker());
    this.#extremes = layout.vectors && {
      loss: trackers(),
      reference: trackers(),
      excess: trackers(),
      alpha: trackers(),
      average: trackers(),
    };
  }

  get steps(): number {
    return this.#steps;
  }

  add({ firstStep, steps, values }: TrajectoryStretch): void {
    const { width } = this.#layout;
    for (let row = 0; row < steps; row++) {
      this.#addStep(firstStep + row, values.subarray(row * width, (row + 1) * width));
    }
  }

  #addStep(step: number, record: Float64Array): void {
    const { domains: K, scalars, heldOut, vectors } = this.#layout;
    if (this.#steps % this.#stepsPerPoint === 0) {
      if (this.#points.length === this.#capacity) this.#halve(); // the capacity is even, so the new point begins here too
      this.#points.push(emptyPoint(vectors ? K : null));
    }
    this.#steps++;
    const point = this.#points.at(-1)!;
    const tokens = record[scalars.tokens]!;
    point.step = step;
    point.tokens += tokens;
    point.loss += record[scalars.loss]! * tokens;
    point.learningRate = record[scalars.learning_rate]!;
    if (vectors && point.domains && this.#extremes) {
      for (let k = 0; k < K; k++) {
        const domainTokens = record[vectors.domain_tokens + k]!;
        if (domainTokens > 0) {
          const [loss, signed] = [record[vectors.domain_loss + k]!, record[vectors.signed_excess + k]!];
          const excess = record[vectors.excess + k]!;
          point.domains.tokens[k]! += domainTokens;
          point.domains.loss[k]! += loss * domainTokens;
          point.domains.signed[k]! += signed * domainTokens;
          point.domains.excess[k]! += excess * domainTokens;
          this.#extremes.loss[k]!.add(step, loss);
          this.#extremes.reference[k]!.add(step, loss - signed);
          this.#extremes.excess[k]!.add(step, excess);
        }
        point.domains.alpha[k] = record[vectors.alpha + k]!;
        point.domains.average[k] = record[vectors.average + k]!;
        this.#extremes.alpha[k]!.add(step, point.domains.alpha[k]!);
        this.#extremes.average[k]!.add(step, point.domains.average[k]!);
      }
    }
    const losses = record.slice(heldOut, heldOut + K);
    if (losses.some((loss) => !Number.isNaN(loss))) this.#look(step, losses);
  }

  #look(step: number, loss: Float64Array): void {
    if (this.#looksSeen++ % this.#looksKept !== 0) return;
    if (this.#looks.length === this.#capacity) {
      this.#looks = this.#looks.filter((_, i) => i % 2 === 0);
      this.#looksKept *= 2;
    }
    this.#looks.push({ step, loss });
  }

  /** Two points become one. */
  #halve(): void {
    this.#points = pairs(this.#points).map(([a, b]) => (b ? merge(a, b) : a));
    this.#stepsPerPoint *= 2;
  }

  series(): TrainingSeries {
    const { domains: K } = this.#layout;
    const points = this.#points;
    const column = (of: (point: Point) => number) => Float64Array.from(points, of);
    const extremes = this.#extremes;
    const mean = (k: number, sum: (of: NonNullable<Point["domains"]>) => number) =>
      column(({ domains }) => (domains!.tokens[k] === 0 ? Number.NaN : sum(domains!) / domains!.tokens[k]!));
    const byDomain = (name: DomainSeriesName, of: (k: number) => Float64Array): DomainSeries[] =>
      Array.from({ length: K }, (_, k) => ({ points: of(k), extremes: extremes![name][k]!.read() }));
    return {
      steps: this.#steps,
      stepsPerPoint: this.#stepsPerPoint,
      step: column(({ step }) => step),
      loss: column(({ loss, tokens }) => loss / tokens),
      learningRate: column(({ learningRate }) => learningRate),
      domains: extremes && {
        loss: byDomain("loss", (k) => mean(k, ({ loss }) => loss[k]!)),
        reference: byDomain("reference", (k) => mean(k, ({ loss, signed }) => loss[k]! - signed[k]!)),
        excess: byDomain("excess", (k) => mean(k, ({ excess }) => excess[k]!)),
        alpha: byDomain("alpha", (k) => column(({ domains }) => domains!.alpha[k]!)),
        average: byDomain("average", (k) => column(({ domains }) => domains!.average[k]!)),
      },
      heldOut: {
        step: Float64Array.from(this.#looks, ({ step }) => step),
        loss: Array.from({ length: K }, (_, k) => Float64Array.from(this.#looks, ({ loss }) => loss[k]!)),
      },
    };
  }
}

/** The extremes of one series. */
class Tracker {
  #min = Number.NaN;
  #minStep = Number.NaN;
  #max = Number.NaN;
  #maxStep = Number.NaN;
  #last = Number.NaN;
  #lastStep = Number.NaN;

  add(step: number, value: number): void {
    if (Number.isNaN(value)) return;
    if (!(value >= this.#min)) [this.#min, this.#minStep] = [value, step];
    if (!(value <= this.#max)) [this.#max, this.#maxStep] = [value, step];
    [this.#last, this.#lastStep] = [value, step];
  }

  read(): Extremes {
    const [min, minStep, max, maxStep] = [this.#min, this.#minStep, this.#max, this.#maxStep];
    return { min, minStep, max, maxStep, last: this.#last, lastStep: this.#lastStep };
  }
}

function emptyPoint(K: number | null): Point {
  const vector = () => new Float64Array(K ?? 0);
  const domains = {
    tokens: vector(),
    loss: vector(),
    signed: vector(),
    excess: vector(),
    alpha: vector(),
    average: vector(),
  };
  return { step: 0, tokens: 0, loss: 0, learningRate: 0, domains: K === null ? null : domains };
}

/** The first takes in what follows it. */
function merge(first: Point, second: Point): Point {
  for (const name of ["tokens", "loss", "signed", "excess"] as const) {
    const [into, from] = [first.domains?.[name], second.domains?.[name]];
    if (into && from) for (let k = 0; k < into.length; k++) into[k]! += from[k]!;
  }
  for (const name of ["alpha", "average"] as const) {
    const from = second.domains?.[name];
    if (from) first.domains![name].set(from);
  }
  first.tokens += second.tokens;
  first.loss += second.loss;
  first.step = second.step;
  first.learningRate = second.learningRate;
  return first;
}

function pairs<T>(items: readonly T[]): [T, T | undefined][] {
  return Array.from({ length: Math.ceil(items.length / 2) }, (_, i) => [items[2 * i]!, items[2 * i + 1]]);
}
