/**
 * What the held-out losses of several trainings say about a mixture: means with 95 % intervals that count both sources of
 * chance, the training (seeds: initial weights and order of the data) and the held-out documents. No files, no names.
 *
 * The design is crossed: every training is evaluated on the same documents. Its variance is that of the two-way random
 * effects model, seeds by documents, estimated as in multi-way clustering (Cameron, Gelbach & Miller 2011): between seeds
 * plus between documents minus what both count twice. Either one alone is too narrow (Clark 1973 on subjects and items;
 * Bouthillier et al. 2021, arXiv 2103.03098, on seeds). The interval takes Student's t of each source, weighted by its
 * variance (Cochran & Cox 1950): with three seeds a bootstrap misses a third of their variance and the uncertainty of the
 * rest, and Satterthwaite's degrees of freedom for the whole keep 93 % rather than 95.
 */
import { studentQuantile } from "../lib/student-t.ts";

export const CONFIDENCE = 0.95;

/** Documents that stand for one population, such as those of a domain. S seeds, J documents. */
export interface Part {
  /** of each document under each seed: its mean loss, or a difference of such */
  readonly values: readonly ArrayLike<number>[]; // [S][J]
  /** of each document: its tokens */
  readonly sizes: ArrayLike<number>; // [J]
  /** what the mean over the documents counts in the sum over the parts; may be negative */
  readonly share: number;
}

export interface Estimate {
  readonly mean: number;
  /** null where nothing says how far chance goes: one seed, and no part with two documents */
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly standardError: number | null;
  /** parts of the variance that each source alone accounts for; null = it cannot be seen */
  readonly variance: { readonly seeds: number | null; readonly documents: number | null };
}

/**
 * Σ share · (mean over a part's documents, by size), averaged over the seeds.
 *
 * @param parts at least one, all with the same seeds, none without documents
 */
export function estimate(parts: readonly Part[]): Estimate {
  const S = parts[0]?.values.length ?? 0;
  if (S === 0 || parts.some(({ values, sizes }) => values.length !== S || sizes.length === 0))
    throw new RangeError("estimate: needs parts of the same seeds, with documents");
  const bySeed = new Float64Array(S);
  const documents: Component[] = [];
  let interaction = 0;
  for (const part of parts) {
    const { seeds, ...components } = componentsOf(part);
    for (const [s, mean] of seeds.entries()) bySeed[s]! += part.share * mean;
    if (components.documents) documents.push(components.documents);
    interaction += components.interaction;
  }
  const mean = average(bySeed);
  const seeds: Component | undefined =
    S < 2 ? undefined : { variance: sumOfSquares(bySeed, mean) / (S * (S - 1)), freedom: S - 1 };
  const betweenDocuments = documents.length === 0 ? undefined : add(documents);
  const known = [seeds, betweenDocuments].filter((component) => component !== undefined);
  const result = {
    mean,
    variance: { seeds: seeds?.variance ?? null, documents: betweenDocuments?.variance ?? null },
  };
  if (known.length === 0) return { ...result, interval: null, standardError: null };
  // Chance can make what is taken off larger than what it is taken from: the whole is no less than either source.
  const variances = known.map((source) => source.variance);
  const variance = Math.max(sum(variances) - interaction, ...variances);
  const standardError = Math.sqrt(variance);
  const reach = standardError * weightedQuantile(known);
  return { ...result, interval: { low: mean - reach, high: mean + reach }, standardError };
}

interface Component {
  readonly variance: number;
  readonly freedom: number;
}

/** Of one part: means by seed, variance of its mean between documents, and what seeds and documents have in common. */
function componentsOf({ values, sizes, share }: Part) {
  const S = values.length;
  const J = sizes.length;
  const total = sum(sizes);
  const weights = Float64Array.from(sizes, (size) => size / total); // Σ = 1
  const seeds = values.map((row) => weights.reduce((all, weight, j) => all + weight * row[j]!, 0));
  if (J < 2) return { seeds, documents: undefined, interaction: 0 };
  const mean = average(seeds);
  const means = weights.map((_, j) => average(values.map((row) => row[j]!)));
  const [w2, w3, w4] = [2, 3, 4].map((power) => weights.reduce((all, weight) => all + weight ** power, 0)) as [
    number,
    number,
    number,
  ];
  // Residuals are taken from a mean that the documents themselves make up; for equal sizes this is J ÷ (J − 1).
  const scale = (share ** 2 * w2) / (w2 - 2 * w3 + w2 ** 2);
  let between = 0;
  let both = 0;
  for (const [j, weight] of weights.entries()) {
    between += weight ** 2 * (means[j]! - mean) ** 2;
    if (S < 2) continue;
    for (let s = 0; s < S; s++)
      both += (weight ** 2 * (values[s]![j]! - means[j]! - seeds[s]! + mean) ** 2) / (S * (S - 1));
  }
  // (Σ w²)² ÷ Σ w⁴ documents of equal size would be known as well.
  return {
    seeds,
    documents: { variance: scale * between, freedom: Math.max(1, w2 ** 2 / w4 - 1) },
    interaction: scale * both,
  };
}

/** Of independent components of one kind; degrees of freedom as Satterthwaite 1946 has them. */
function add(components: readonly Component[]): Component {
  const variance = sum(components.map((component) => component.variance));
  const spread = sum(components.map((component) => component.variance ** 2 / component.freedom));
  return { variance, freedom: spread === 0 ? 1 : Math.max(1, variance ** 2 / spread) };
}

/** Standard errors from the mean to either end of the interval. */
function weightedQuantile(sources: readonly Component[]): number {
  const variance = sum(sources.map((source) => source.variance));
  if (variance === 0) return 0;
  const quantiles = sources.map(({ freedom }) => studentQuantile((1 + CONFIDENCE) / 2, freedom));
  return sum(sources.map((source, i) => source.variance * quantiles[i]!)) / variance;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

function average(values: ArrayLike<number>): number {
  return sum(values) / values.length;
}

function sumOfSquares(values: Float64Array, mean: number): number {
  return values.reduce((total, value) => total + (value - mean) ** 2, 0);
}
