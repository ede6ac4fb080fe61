// AdamW (arXiv 1711.05101). Each array is read once and written at most once, since memory is what bounds it.

/**
 * @param bytes whole blocks  @param scale factor of the gradient
 * @param rest1 1 − beta1, rounded once  @param stepSize learning rate ÷ (1 − beta1^step)
 * @param correction 1 ÷ (1 − beta2^step)  @param kept 1 − learning rate · weight decay
 */
export function adamW(
  parameter: usize,
  gradient: usize,
  first: usize,
  second: usize,
  bytes: usize,
  scale: f32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  stepSize: f32,
  correction: f32,
  epsilon: f32,
  kept: f32,
): void {
  const scales = f32x4.splat(scale);
  const beta1s = f32x4.splat(beta1);
  const rest1s = f32x4.splat(rest1);
  const beta2s = f32x4.splat(beta2);
  const rest2s = f32x4.splat(rest2);
  const stepSizes = f32x4.splat(stepSize);
  const corrections = f32x4.splat(correction);
  const epsilons = f32x4.splat(epsilon);
  const kepts = f32x4.splat(kept);
  for (let done: usize = 0; done < bytes; done += 16) {
    const g = f32x4.mul(v128.load(gradient + done), scales);
    const m = f32x4.add(f32x4.mul(v128.load(first + done), beta1s), f32x4.mul(g, rest1s));
    const v = f32x4.add(f32x4.mul(v128.load(second + done), beta2s), f32x4.mul(f32x4.mul(g, g), rest2s));
    v128.store(first + done, m);
    v128.store(second + done, v);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(v, corrections)), epsilons);
    const change = f32x4.div(f32x4.mul(m, stepSizes), root);
    v128.store(parameter + done, f32x4.sub(f32x4.mul(v128.load(parameter + done), kepts), change));
  }
}
