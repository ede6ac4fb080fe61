/**
 * Group DRO, Sagawa et al. 2020 (arXiv 1911.08731): Algorithm 1, its generalization adjustments (section 3.3), and the
 * greedy best response of the authors' code. Groups are domains, examples sequences. Two things differ from that code: an
 * adjustment of 0 for one domain leaves the others theirs, and the best response may spread over all the data.
 */
import { DoremiError } from "../../lib/errors.ts";
import type { Objective, ObjectiveFacts, ObjectiveState } from "../objective.ts";
import type { GroupDroSettings } from "../objective-settings.ts";
import { domainMeanWeights, finiteDomainStatistics } from "./batch.ts";
import { cappedResponse } from "./capped-response.ts";
import { exponentiatedGradient } from "./exponentiated-gradient.ts";
import { follow, type RunningLosses, shareOfData } from "./running-losses.ts";

interface GroupDroState extends ObjectiveState, RunningLosses {
  /** q of the online update; Σ = 1 */
  readonly alpha: Float64Array; // [K]
  /** held-out loss less running loss when last measured; 0 before */
  readonly gap: Float64Array; // [K]
}

/** State: `alpha`, `running`, `seen` and `gap` [K]. */
export function createGroupDro(settings: GroupDroSettings, facts: ObjectiveFacts): Objective {
  const K = facts.domains;
  const shares = shareOfData(facts);
  const adjustments = adjustmentsOf(settings, facts);
  const adjusted = (losses: Float64Array, { gap }: GroupDroState): Float64Array =>
    losses.map((loss, i) => loss + (adjustments[i] ?? gap[i]!));

  return {
    settings,
    init: () => ({
      alpha: Float64Array.from(facts.start),
      running: new Float64Array(K),
      seen: new Float64Array(K),
      gap: new Float64Array(K),
    }),
    step(state, batch) {
      const before = state as GroupDroState;
      const { tokens, loss } = finiteDomainStatistics(batch, K); // loss 0 where absent, as in the authors' code
      const { running, seen } = follow(before, loss, tokens, settings.decay);
      const online = settings.update === "online";
      const losses = online ? adjusted(loss, before) : loss;
      const alpha = online
        ? exponentiatedGradient(before.alpha, gains(losses, settings), settings.stepSize)
        : greedy(adjusted(running, before), shares, settings);
      return {
        state: { alpha, running, seen, gap: before.gap },
        alpha: alpha.slice(),
        tokenWeight: domainMeanWeights(alpha, tokens, batch),
        value: alpha.reduce((sum, weight, i) => sum + weight * losses[i]!, 0),
      };
    },
    ...(adjustments.includes(null) && {
      observe: (state, heldOutLoss) => ({ ...state, gap: gapOf(state as GroupDroState, heldOutLoss) }),
    }),
  };
}

/** C ÷ √n of each domain with its n training sequences, [K]; null = from its held-out loss. */
export function adjustmentsOf(
  { adjustment, adjustments }: GroupDroSettings,
  { sizes, sequenceLength }: ObjectiveFacts,
): readonly (number | null)[] {
  return sizes.map((size, domain) => {
    const constant = adjustments?.[domain] ?? adjustment;
    return constant === "held-out" ? null : constant / Math.sqrt(Math.max(size / sequenceLength, 1));
  });
}

/** What the online update moves by: the losses, or their shares of the sum of all. */
function gains(losses: Float64Array, { normalizeLoss }: GroupDroSettings): Float64Array {
  if (!normalizeLoss) return losses;
  const total = losses.reduce((a, b) => a + b, 0);
  // Shares of nothing, or of less (held-out gaps may be negative), say nothing: nobody moves.
  return losses.map((loss) => (total > 0 ? loss / total : 0));
}

/** Domains in order of their losses until their data add up to `fraction`, each by its share of the data. */
function greedy(losses: Float64Array, shares: Float64Array, { fraction, minWeight }: GroupDroSettings): Float64Array {
  const worst = cappedResponse(
    losses,
    shares.map((share) => share / fraction),
  );
  return worst.map((weight, i) => minWeight * shares[i]! + (1 - minWeight) * weight);
}

/** A domain without a held-out loss, or that was in no batch yet, keeps what it had. */
function gapOf({ gap, running, seen }: GroupDroState, heldOutLoss: ArrayLike<number>): Float64Array {
  return gap.map((before, i) => {
    const loss = heldOutLoss[i]!;
    if (Number.isNaN(loss) || seen[i] === 0) return before;
    if (Number.isFinite(loss)) return loss - running[i]!;
    throw new DoremiError(
      "bad-data",
      "non-finite-excess",
      `domain weights: the held-out loss of domain ${i} must be finite, got ${loss}; ` +
        "the proxy has diverged, lower the learning rate",
    );
  });
}
