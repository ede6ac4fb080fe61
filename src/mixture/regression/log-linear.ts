/**
 * The log-linear law L(x) = c + exp(Σ b_j x_j), as in Data Mixing Laws (Ye et al. 2024) and Olmix: convex in x, and with
 * few parameters, so that it holds at larger models than those it was fitted on. Nonlinear least squares by
 * Levenberg–Marquardt from several starts, because there are local optima.
 */
import { dot, type Law, type Mixture } from "./law.ts";
import { leastSquares } from "./least-squares.ts";

export interface LogLinearLaw extends Law {
  /** the loss that no mixture gets below */
  readonly floor: number;
  readonly coefficients: Readonly<Float64Array>;
  /** mean squared error on the runs it was fitted on */
  readonly meanSquaredError: number;
  gradient(mixture: Mixture): Float64Array;
}

/** Where c starts on the way up to the lowest loss; the nearer, the more curved the law. */
const FLOOR_STARTS = [0, 0.5, 0.9, 0.99] as const;
const MAX_STEPS = 500;
/** A step that betters the error by less of it is the last. */
const TOLERANCE = 1e-10;

/** @param near a law of nearly the same runs, to start from in place of all the starts */
export function fitLogLinear(
  mixtures: readonly Mixture[],
  losses: ArrayLike<number>,
  near?: Pick<LogLinearLaw, "floor" | "coefficients">,
): LogLinearLaw {
  const all = Array.from(losses);
  const starts = near ? [Float64Array.of(near.floor, ...near.coefficients)] : startsFor(mixtures, all);
  const { parameters, error } = starts
    .map((start) => levenbergMarquardt(mixtures, all, start))
    .reduce((best, fit) => (fit.error < best.error ? fit : best));
  return logLinearLaw(parameters[0]!, parameters.slice(1), error / all.length);
}

/** For each floor, the law that is linear in ln (loss − floor). */
function startsFor(mixtures: readonly Mixture[], losses: readonly number[]): Float64Array[] {
  const lowest = Math.min(...losses);
  const range = Math.max(...losses) - lowest;
  return FLOOR_STARTS.map((share) => {
    // Losses are positive, but this holds for any measure that is to be low.
    const floor = lowest - (1 - share) * Math.max(Math.abs(lowest), range);
    const logs = losses.map((loss) => Math.log(Math.max(loss - floor, 1e-3 * (range || 1))));
    return Float64Array.of(floor, ...leastSquares(mixtures, logs).coefficients);
  });
}

function logLinearLaw(floor: number, coefficients: Float64Array, meanSquaredError: number): LogLinearLaw {
  return {
    floor,
    coefficients,
    meanSquaredError,
    predict: (mixture) => floor + Math.exp(dot(coefficients, mixture)),
    gradient: (mixture) => {
      const slope = Math.exp(dot(coefficients, mixture));
      return coefficients.map((b) => slope * b);
    },
  };
}

interface Fit {
  /** c, b_1 … b_K */
  readonly parameters: Float64Array;
  /** Σ (law − loss)² */
  readonly error: number;
}

/** Damped Gauss–Newton steps; each solves the damped problem by orthogonal reflections, not by its normal equations. */
function levenbergMarquardt(mixtures: readonly Mixture[], losses: readonly number[], start: Float64Array): Fit {
  let parameters = start;
  let error = sumOfSquares(residuals(mixtures, losses, parameters));
  let damping = 1e-3;
  for (let step = 0; step < MAX_STEPS; step++) {
    const jacobian = mixtures.map((mixture) => {
      const slope = Math.exp(dot(parameters.subarray(1), mixture));
      return Float64Array.of(1, ...mixture.map((weight) => slope * weight));
    });
    const size = Float64Array.from(parameters, (_, j) =>
      Math.sqrt(jacobian.reduce((sum, row) => sum + row[j]! ** 2, 1e-24)),
    );
    const wanted = residuals(mixtures, losses, parameters).map((residual) => -residual);
    let accepted: Fit | undefined;
    while (!accepted && damping < 1e12) {
      const damped = [...jacobian, ...Array.from(size, (_, j) => unit(size, j, Math.sqrt(damping)))];
      const { coefficients } = leastSquares(damped, [...wanted, ...size.map(() => 0)]);
      const next = parameters.map((value, j) => value + coefficients[j]!);
      const nextError = sumOfSquares(residuals(mixtures, losses, next));
      if (nextError < error) accepted = { parameters: next, error: nextError };
      else damping *= 4;
    }
    if (!accepted) break;
    const better = error - accepted.error;
    ({ parameters, error } = accepted);
    damping = Math.max(damping / 10, 1e-12);
    if (better <= TOLERANCE * error) break;
  }
  return { parameters, error };
}

/** Row j of the diagonal matrix factor · size. */
function unit(size: Readonly<Float64Array>, j: number, factor: number): Float64Array {
  const row = new Float64Array(size.length);
  row[j] = factor * size[j]!;
  return row;
}

function residuals(
  mixtures: readonly Mixture[],
  losses: readonly number[],
  parameters: Readonly<Float64Array>,
): number[] {
  const coefficients = parameters.slice(1);
  return mixtures.map((mixture, i) => parameters[0]! + Math.exp(dot(coefficients, mixture)) - losses[i]!);
}

/** Infinity where a step has left the range of numbers, so that it is not taken. */
function sumOfSquares(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value * value, 0);
  return Number.isNaN(sum) ? Number.POSITIVE_INFINITY : sum;
}
