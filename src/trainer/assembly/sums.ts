// Sums over whole arrays, in an order that does not depend on anything but the array's length.
import { BLOCK_BYTES } from "./blocks";

/** Σ x², in float64: squares of finite values neither overflow nor lose what is small. @param bytes whole blocks */
export function sumOfSquares(at: usize, bytes: usize): f64 {
  let sum0 = f64x2.splat(0);
  let sum1 = f64x2.splat(0);
  let sum2 = f64x2.splat(0);
  let sum3 = f64x2.splat(0);
  for (let done: usize = 0; done < bytes; done += BLOCK_BYTES / 2) {
    const low = v128.load(at + done);
    const high = v128.load(at + done, 16);
    const a = lowToF64(low);
    const b = highToF64(low);
    const c = lowToF64(high);
    const d = highToF64(high);
    sum0 = f64x2.add(sum0, f64x2.mul(a, a));
    sum1 = f64x2.add(sum1, f64x2.mul(b, b));
    sum2 = f64x2.add(sum2, f64x2.mul(c, c));
    sum3 = f64x2.add(sum3, f64x2.mul(d, d));
  }
  return across(f64x2.add(f64x2.add(sum0, sum1), f64x2.add(sum2, sum3)));
}

/** Adds the array at `from` to the one at `to`. @param bytes whole blocks */
export function addTo(to: usize, from: usize, bytes: usize): void {
  for (let done: usize = 0; done < bytes; done += 16)
    v128.store(to + done, f32x4.add(v128.load(to + done), v128.load(from + done)));
}

// @ts-ignore: decorator
@inline
export function lowToF64(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

// @ts-ignore: decorator
@inline
export function highToF64(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<u32>(x, x, 2, 3, 2, 3));
}

// @ts-ignore: decorator
@inline
export function across(sums: v128): f64 {
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}
