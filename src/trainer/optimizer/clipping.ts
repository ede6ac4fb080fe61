/** Clipping by the global norm, as torch.nn.utils.clip_grad_norm_ does it. */

/** So that a norm of 0 can be divided by. */
export const NORM_EPSILON = 1e-6;

/** Factor that brings gradients of this norm down to `clipNorm` where they are above. @param clipNorm 0 = off */
export function clipFactor(norm: number, clipNorm: number): number {
  return clipNorm === 0 ? 1 : Math.min(1, clipNorm / (norm + NORM_EPSILON));
}
