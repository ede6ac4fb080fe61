/**
 * Held-out loss on the way of a training: what its trajectory says of the looks, and the end. A look is of fewer sequences
 * than the last evaluation, so the end is taken of the same ones.
 */
import type { LossCurve } from "../../mixture/speed-up.ts";
import { evaluatedSequence } from "../../trainer/batches.ts";
import type { SequenceSums } from "../../trainer/contract.ts";
import { RecordBatches } from "../record-batches.ts";
import { HELD_OUT } from "../trajectory.ts";

/** Sequences of an evaluation for each of a look: a whole number, so that those of a look are among them. */
export const EVALUATED_PER_LOOK = 4;

/** Of a finished training with K domains: a point for each look. */
export async function looksOf(trajectory: string, K: number): Promise<LossCurve> {
  const steps: number[] = [];
  const loss: (number | null)[][] = [];
  const batches = await RecordBatches.open(trajectory);
  try {
    for await (const columns of batches) {
      const step = columns.numbers("step");
      for (const [row, losses] of columns.listsOrNull(HELD_OUT, K).entries()) {
        if (!losses) continue;
        steps.push(step[row]! - 1); // it was measured before this step
        loss.push(Array.from(losses, (value) => (Number.isNaN(value) ? null : value)));
      }
    }
  } finally {
    await batches.close();
  }
  return { steps, loss };
}

/**
 * Mean loss of each domain over the sequences of a look, of all that were evaluated.
 *
 * @param stored sequences that each domain holds out
 * @param looked sequences of a look, of each domain at most; `looked` · EVALUATED_PER_LOOK were evaluated, or all
 */
export function lookAmong(
  sequences: readonly SequenceSums[],
  stored: readonly number[],
  looked: number,
): (number | null)[] {
  return sequences.map(({ tokens, loss }, k) => {
    const places = new Map(tokens.map((_, i) => [evaluatedSequence(i, tokens.length, stored[k]!), i]));
    const count = Math.min(looked, stored[k]!);
    let [tokenSum, lossSum] = [0, 0];
    for (let i = 0; i < count; i++) {
      const at = places.get(evaluatedSequence(i, count, stored[k]!));
      if (at === undefined) throw new RangeError("curve: a look's sequence was not evaluated in the end");
      tokenSum += tokens[at]!;
      lossSum += loss[at]!;
    }
    return tokenSum === 0 ? null : lossSum / tokenSum;
  });
}
