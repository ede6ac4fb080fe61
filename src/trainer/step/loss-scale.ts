/**
 * The scale at which float16 gradients are computed, so that small ones do not become 0: halved whenever a gradient
 * overflows (that step is left out), doubled after a long run without. Other precisions stay at 1.
 */
import type { Precision } from "../../engine/engine.ts";

const FIRST = 2 ** 15;
const LARGEST = 2 ** 24;
/** Steps without an overflow before the scale is doubled. */
const GROWTH_INTERVAL = 2000;

export interface LossScaleState {
  /** false: always 1 */
  readonly dynamic: boolean;
  readonly scale: number;
  /** steps since the last overflow or growth */
  readonly since: number;
}

export function initLossScale(precision: Precision): LossScaleState {
  const dynamic = precision === "float16";
  return { dynamic, scale: dynamic ? FIRST : 1, since: 0 };
}

/**
 * The scale after steps that were computed at this one, or null where an overflow is no matter of scale: the training
 * has diverged.
 * @param steps without an overflow; 0 where there was one, in however many of them
 */
export function nextLossScale(state: LossScaleState, steps: number): LossScaleState | null {
  if (steps === 0) return state.scale > 1 ? { ...state, scale: state.scale / 2, since: 0 } : null;
  if (!state.dynamic) return state;
  if (state.since + steps < GROWTH_INTERVAL) return { ...state, since: state.since + steps };
  return { ...state, scale: Math.min(LARGEST, state.scale * 2), since: 0 };
}
