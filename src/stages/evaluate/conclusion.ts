/** What a comparison says, in a sentence or two that nobody has to be a statistician for; losing is said as plainly as winning. */
import type { Comparison, Difference } from "../../mixture/comparison.ts";
import type { SpeedUp } from "../../mixture/speed-up.ts";
import type { Estimate } from "../../mixture/statistics.ts";

/** @param sameAs the baseline has these weights too @param seeds trainings of each */
export function conclude(comparison: Comparison, speedUp: SpeedUp | null, same: boolean, seeds: number): string {
  const { baseline, candidate, average, weighted, worst, wins, losses, undecided } = comparison;
  if (same) return `${candidate} and ${baseline} are the same weights, so there is nothing to compare.`;
  const sentences = [
    `${candidate} ${verb(average)} ${baseline} on average over the domains: ${describe(average)}.`,
    `By the domains' shares of the corpus it ${verb(weighted)} ${baseline}: ${describe(weighted)}.`,
    `In the worst domain (${worstNames(worst)}) it ${verb(worst)} ${baseline}: ${describe(worst)}.`,
    `Of ${wins + losses + undecided} domains it wins ${wins}, loses ${losses}, and ${undecided} are inside the noise.`,
  ];
  if (speedUp) sentences.push(describeSpeedUp(candidate, baseline, speedUp));
  if (seeds === 1)
    sentences.push("With one seed nobody knows what another training would say: set evaluate.seeds to 3.");
  return sentences.join(" ");
}

function verb({ verdict }: Pick<Difference, "verdict">): string {
  switch (verdict) {
    case "wins":
      return "beats";
    case "loses":
      return "loses to";
    case "inside the noise":
      return "cannot be told from";
    default:
      return verdict satisfies never;
  }
}

/** “loss 3.412 against 3.498, -0.086 (-0.101 to -0.071)” */
function describe({ baseline, candidate, difference }: Difference): string {
  return `loss ${candidate.mean.toFixed(3)} against ${baseline.mean.toFixed(3)}, ${signedInterval(difference)}`;
}

export function signedInterval({ mean, interval }: Pick<Estimate, "mean" | "interval">): string {
  return interval ? `${signed(mean)} (${signed(interval.low)} to ${signed(interval.high)})` : signed(mean);
}

export function signed(value: number): string {
  const text = Math.abs(value).toFixed(3);
  return text === "0.000" ? text : `${value < 0 ? "-" : "+"}${text}`;
}

function worstNames({ baselineDomain, candidateDomain }: Comparison["worst"]): string {
  return baselineDomain === candidateDomain ? candidateDomain : `${candidateDomain}, ${baselineDomain} of the baseline`;
}

function describeSpeedUp(candidate: string, baseline: string, { steps, share, factor, bySeed }: SpeedUp): string {
  if (steps === null) return `${candidate} never comes down to ${baseline}'s final average loss.`;
  const shares = bySeed.filter((value) => value !== null);
  const spread =
    bySeed.length < 2
      ? ""
      : shares.length < bySeed.length
        ? `; ${bySeed.length - shares.length} of ${bySeed.length} seeds never do`
        : `; by seed ${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`;
  return `It reaches ${baseline}'s final average loss after ${percent(share!)} of the steps (${factor!.toFixed(2)} times as fast${spread}).`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
