/**
 * After how many steps a mixture's models are as good as the baseline's are in the end: the speed-up figure of Xie et al.
 * 2023 (their figure 2, there by accuracy), by the mean held-out loss over the domains.
 */

/** Held-out losses on the way of one training. */
export interface LossCurve {
  /** training steps done, ascending; the last one is the end */
  readonly steps: readonly number[]; // [E]
  /** of each domain, null where it holds nothing out */
  readonly loss: readonly (readonly (number | null)[])[]; // [E][K]
}

export interface SpeedUp {
  /** steps at which the candidate's curve first comes down to the baseline's final loss; null = never */
  readonly steps: number | null;
  /** of the baseline's steps */
  readonly share: number | null;
  /** baseline's steps ÷ steps; 1 = no faster */
  readonly factor: number | null;
  /** share of each seed against the baseline of the same seed, null = never: how far one seed can be trusted */
  readonly bySeed: readonly (number | null)[];
}

/** Mean over the domains that hold something out, by step. */
export function meanCurve({ loss }: Pick<LossCurve, "loss">): number[] {
  return loss.map((losses) => {
    const known = losses.filter((value) => value !== null);
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  });
}

/** Mean of several curves at the same steps. */
export function averageCurves(curves: readonly (readonly number[])[]): number[] {
  return (curves[0] ?? []).map((_, e) => curves.reduce((sum, curve) => sum + curve[e]!, 0) / curves.length);
}

/** @param baseline one curve per seed, as many as of the candidate, all at the same steps */
export function speedUp(baseline: readonly LossCurve[], candidate: readonly LossCurve[]): SpeedUp {
  const steps = candidate[0]!.steps;
  const end = baseline[0]!.steps.at(-1)!;
  const curves = (all: readonly LossCurve[]) => all.map((curve) => meanCurve(curve));
  const [ofBaseline, ofCandidate] = [curves(baseline), curves(candidate)];
  const reached = firstReach(steps, averageCurves(ofCandidate), averageCurves(ofBaseline).at(-1)!);
  return {
    steps: reached,
    share: reached === null ? null : reached / end,
    factor: reached === null ? null : end / reached,
    bySeed: ofCandidate.map((curve, s) => {
      const own = firstReach(steps, curve, ofBaseline[s]!.at(-1)!);
      return own === null ? null : own / end;
    }),
  };
}

/** Where the straight lines between the points first come down to the target. */
function firstReach(steps: readonly number[], curve: readonly number[], target: number): number | null {
  const at = curve.findIndex((loss) => loss <= target);
  if (at < 0) return null;
  if (at === 0) return steps[0]!;
  const [before, after] = [curve[at - 1]!, curve[at]!];
  return steps[at - 1]! + ((before - target) / (before - after)) * (steps[at]! - steps[at - 1]!);
}
