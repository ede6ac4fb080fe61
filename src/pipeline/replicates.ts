/**
 * Which trainings a pipeline asks for: rounds, each of which trains its reference on the weights of the round before, of
 * seeds, which are equal in all but chance. Each training is a tokenize, a reference and a proxy stage of its own, so each
 * can be gone on with and is kept by itself. Pure.
 */
import { Rng } from "../lib/rng.ts";
import { largestChange, spreadWeights } from "../mixture/replicates.ts";
import type { ProxyOutput } from "../stages/proxy/contract.ts";
import type { Outputs } from "./runner.ts";
import type { PipelineFile } from "./schema.ts";

/** One training of all. */
export interface Replicate {
  readonly round: number; // from 1
  /** its place among the seeds, from 1; for the number that seeds its generators see `seedOf` */
  readonly seed: number;
}

type RoundSettings = Pick<PipelineFile["train"], "rounds" | "seeds">;

/** Rounds at most; fewer where they are to end by themselves. */
export function mostRounds({ rounds }: Pick<RoundSettings, "rounds">): number {
  return typeof rounds === "number" ? rounds : rounds.limit;
}

/** Do several trainings make the weights? */
export function isReplicated(settings: RoundSettings): boolean {
  return mostRounds(settings) > 1 || settings.seeds > 1;
}

/** Of one round, all seeds. */
export function seedsOf({ seeds }: Pick<RoundSettings, "seeds">, round: number): Replicate[] {
  return Array.from({ length: seeds }, (_, index) => ({ round, seed: index + 1 }));
}

/** In the order in which they are trained. */
export function replicatesOf(settings: RoundSettings): Replicate[] {
  return Array.from({ length: mostRounds(settings) }, (_, index) => seedsOf(settings, index + 1)).flat();
}

/**
 * A stage's name in a training. It does not depend on how many rounds and seeds there are, so that more of them, or
 * fewer, find what was done.
 */
export function instanceName(stage: string, { round, seed }: Replicate): string {
  return `${stage}${round > 1 ? `-round-${round}` : ""}${seed > 1 ? `-seed-${seed}` : ""}`;
}

/** @param pipeline the pipeline's seed, which is that of the first training of every round */
export function seedOf(pipeline: number, { seed }: Pick<Replicate, "seed">): number {
  return seed === 1 ? pipeline : new Rng(pipeline, "train/seeds").uint32(seed);
}

/** Learned weights of each seed of a round that is done, in the order of the domains. */
export function learnedWeights(
  settings: RoundSettings,
  outputs: Outputs,
  round: number,
  domains: readonly string[],
): number[][] {
  return seedsOf(settings, round).map((replicate) => {
    const { weights } = outputs[instanceName("proxy", replicate)] as ProxyOutput;
    return domains.map((name) => weights[name]!);
  });
}

/** A round's weights: the mean over its seeds. */
export function roundWeights(
  settings: RoundSettings,
  outputs: Outputs,
  round: number,
  domains: readonly string[],
): readonly number[] {
  return spreadWeights(learnedWeights(settings, outputs, round, domains)).mean;
}

/**
 * Have the rounds before this one come to rest, so that it is not needed? Never where their number is given.
 * @param start weights of the first round's reference
 */
export function areSettled(
  settings: RoundSettings,
  outputs: Outputs,
  round: number,
  domains: readonly string[],
  start: readonly number[],
): boolean {
  if (typeof settings.rounds === "number") return false;
  let before = start;
  for (let earlier = 1; earlier < round; earlier++) {
    const after = roundWeights(settings, outputs, earlier, domains);
    if (largestChange(before, after).change < settings.rounds.tolerance) return true;
    before = after;
  }
  return false;
}
