// Adafactor (arXiv 1804.04235). The second moment of a matrix is the product of a mean for each row and one for each
// column. An update's root mean square must be known before it is applied, so a gradient is read three times: for the
// means, for the size of the update, and to apply it, which is less than writing the update down and reading it.
import { across, highToF64, lowToF64 } from "./sums";

/**
 * Moves the running means of the squared gradient by row and by column. Sums are in float64.
 * @param scratch room for a float64 of each column  @param scale factor of the gradient
 * @param beta share of the means so far  @param epsilon added to each square
 */
export function averageFactored(
  gradient: usize,
  rows: u32,
  columns: u32,
  row: usize,
  column: usize,
  scratch: usize,
  scale: f32,
  beta: f64,
  epsilon: f32,
): void {
  memory.fill(scratch, 0, <usize>columns << 3);
  const scales = f32x4.splat(scale);
  const epsilons = f32x4.splat(epsilon);
  const vectors = columns & ~3;
  for (let i: u32 = 0; i < rows; i++) {
    const g = gradient + ((<usize>i * columns) << 2);
    let sums = f64x2.splat(0);
    let j: u32 = 0;
    for (; j < vectors; j += 4) {
      const scaled = f32x4.mul(v128.load(g + (<usize>j << 2)), scales);
      const squares = f32x4.add(f32x4.mul(scaled, scaled), epsilons);
      const low = lowToF64(squares);
      const high = highToF64(squares);
      sums = f64x2.add(sums, f64x2.add(low, high));
      const to = scratch + (<usize>j << 3);
      v128.store(to, f64x2.add(v128.load(to), low));
      v128.store(to, f64x2.add(v128.load(to, 16), high), 16);
    }
    let sum = across(sums);
    for (; j < columns; j++) {
      const scaled = load<f32>(g + (<usize>j << 2)) * scale;
      const square = <f64>(scaled * scaled + epsilon);
      sum += square;
      const to = scratch + (<usize>j << 3);
      store<f64>(to, load<f64>(to) + square);
    }
    average(row + (<usize>i << 2), beta, sum / columns);
  }
  for (let j: u32 = 0; j < columns; j++)
    average(column + (<usize>j << 2), beta, load<f64>(scratch + (<usize>j << 3)) / rows);
}

/** The same for an array that is no matrix: a mean for each element. */
export function averageSquares(gradient: usize, length: u32, second: usize, scale: f32, beta: f64, epsilon: f32): void {
  for (let j: usize = 0; j < <usize>length << 2; j += 4) {
    const g = load<f32>(gradient + j) * scale;
    average(second + j, beta, <f64>(g * g + epsilon));
  }
}

/**
 * Σ u² of u = gradient ÷ √(second moment). Leaves in `scratch` what each column contributes to 1 ÷ √(second moment),
 * as float32, for `updateByFactors`.
 */
export function factoredSquares(
  gradient: usize,
  rows: u32,
  columns: u32,
  row: usize,
  column: usize,
  scratch: usize,
  scale: f32,
): f64 {
  const mean = meanOf(row, rows);
  for (let j: usize = 0; j < <usize>columns << 2; j += 4)
    store<f32>(scratch + j, <f32>(1 / Math.sqrt(<f64>load<f32>(column + j))));
  const vectors = columns & ~3;
  let total: f64 = 0;
  for (let i: u32 = 0; i < rows; i++) {
    const g = gradient + ((<usize>i * columns) << 2);
    const factor = rowFactor(row, i, mean, scale);
    const factors = f32x4.splat(factor);
    let sums = f64x2.splat(0);
    let j: usize = 0;
    for (; j < <usize>vectors << 2; j += 16) {
      const u = f32x4.mul(f32x4.mul(v128.load(g + j), factors), v128.load(scratch + j));
      const low = lowToF64(u);
      const high = highToF64(u);
      sums = f64x2.add(sums, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
    }
    total += across(sums);
    for (; j < <usize>columns << 2; j += 4) {
      const u = <f64>(load<f32>(g + j) * factor * load<f32>(scratch + j));
      total += u * u;
    }
  }
  return total;
}

/** Σ u² for an array that is no matrix. */
export function plainSquares(gradient: usize, length: u32, second: usize, scale: f32): f64 {
  let total: f64 = 0;
  for (let j: usize = 0; j < <usize>length << 2; j += 4) {
    const u = <f64>((load<f32>(gradient + j) * scale) / Mathf.sqrt(load<f32>(second + j)));
    total += u * u;
  }
  return total;
}

/**
 * Applies rate · u, or its running mean where there is one.
 * @param first the running mean, or 0  @param scratch as `factoredSquares` left it
 * @param kept 1 − learning rate · weight decay
 */
export function updateByFactors(
  parameter: usize,
  gradient: usize,
  rows: u32,
  columns: u32,
  first: usize,
  row: usize,
  scratch: usize,
  scale: f32,
  rate: f32,
  beta1: f32,
  rest1: f32,
  kept: f32,
): void {
  const mean = meanOf(row, rows);
  const rates = f32x4.splat(rate);
  const beta1s = f32x4.splat(beta1);
  const rest1s = f32x4.splat(rest1);
  const kepts = f32x4.splat(kept);
  const vectors = columns & ~3;
  for (let i: u32 = 0; i < rows; i++) {
    const start = (<usize>i * columns) << 2;
    const g = gradient + start;
    const p = parameter + start;
    const m = first + start;
    const factor = rowFactor(row, i, mean, scale);
    const factors = f32x4.splat(factor);
    let j: usize = 0;
    for (; j < <usize>vectors << 2; j += 16) {
      let change = f32x4.mul(f32x4.mul(f32x4.mul(v128.load(g + j), factors), v128.load(scratch + j)), rates);
      if (first != 0) {
        change = f32x4.add(f32x4.mul(v128.load(m + j), beta1s), f32x4.mul(change, rest1s));
        v128.store(m + j, change);
      }
      v128.store(p + j, f32x4.sub(f32x4.mul(v128.load(p + j), kepts), change));
    }
    for (; j < <usize>columns << 2; j += 4) {
      const change = load<f32>(g + j) * factor * load<f32>(scratch + j) * rate;
      apply(p + j, first == 0 ? 0 : m + j, change, beta1, rest1, kept);
    }
  }
}

/** The same for an array that is no matrix. */
export function updateBySquares(
  parameter: usize,
  gradient: usize,
  length: u32,
  first: usize,
  second: usize,
  scale: f32,
  rate: f32,
  beta1: f32,
  rest1: f32,
  kept: f32,
): void {
  for (let j: usize = 0; j < <usize>length << 2; j += 4) {
    const change = ((load<f32>(gradient + j) * scale) / Mathf.sqrt(load<f32>(second + j))) * rate;
    apply(parameter + j, first == 0 ? 0 : first + j, change, beta1, rest1, kept);
  }
}

function meanOf(row: usize, rows: u32): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < rows; i++) sum += <f64>load<f32>(row + (<usize>i << 2));
  return sum / rows;
}

/** What a row contributes to 1 ÷ √(second moment), with the gradient's scale. */
// @ts-ignore: decorator
@inline
function rowFactor(row: usize, i: u32, mean: f64, scale: f32): f32 {
  return <f32>(Math.sqrt(mean / <f64>load<f32>(row + (<usize>i << 2))) * <f64>scale);
}

// @ts-ignore: decorator
@inline
function average(at: usize, beta: f64, value: f64): void {
  store<f32>(at, <f32>(beta * <f64>load<f32>(at) + (1 - beta) * value));
}

// @ts-ignore: decorator
@inline
function apply(parameter: usize, first: usize, change: f32, beta1: f32, rest1: f32, kept: f32): void {
  let applied = change;
  if (first != 0) {
    applied = load<f32>(first) * beta1 + change * rest1;
    store<f32>(first, applied);
  }
  store<f32>(parameter, load<f32>(parameter) * kept - applied);
}
