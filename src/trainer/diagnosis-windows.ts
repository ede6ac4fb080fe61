/**
 * What a tenth of a training shows to be wrong: checks of the sums over some steps in a row, each by itself. A check that
 * is not sure says nothing.
 */
import { needsReference, type ObjectiveSettings } from "../mixture/objective-settings.ts";
import type { DiagnosisSettings, Finding } from "./diagnosis-contract.ts";
import type { Tally } from "./diagnosis-tally.ts";

/** How the loss came to the window that is looked at. */
export interface Trend {
  /** of the first step, in which the model knows nothing */
  readonly first: number;
  /** the earlier window with the lowest */
  readonly best: Tally | undefined;
  /** by which the window's second half is below its first one */
  readonly fall: number;
}

type WindowCheck = (window: Tally, settings: DiagnosisSettings, trend: Trend) => Finding[];

/** A domain has it all when the others hold less than this share of what they held before the first step. */
const LEFT_FOR_OTHERS = 0.1;
/** Share of all weight that a step may move on average: above, the weights are others after every ten steps. */
const WILD = 0.1;
/** What step sizes move in a training whose weights settle. */
const CALM = 0.01;
/** The reference is worse for sure when its loss is above the proxy's by this share. */
const WORSE = 0.01;
/** Share of the first loss that a training has got rid of after a quarter of its steps at least. */
const LEAST_FALL = 0.02;
/** Where it has not, it may be about to: so much of the first loss in a twentieth of the steps is a fall. */
const FALLING = 0.005;
/** A rise that gives back this share of what the loss had fallen, */
const RISE = 0.1;
/** and that chance does not explain: in standard errors. */
const SURE = 4;

/** Share of ln V, what guessing evenly among all tokens loses, above which a model knows less than nothing. */
const RUINED = 0.1;

const steps = ({ firstStep, lastStep }: Tally) => `steps ${firstStep} to ${lastStep}`;
const percent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;

function weightsCollapsed(window: Tally, { proxy, domains }: DiagnosisSettings): Finding[] {
  if (!proxy) return [];
  const alpha = window.meanAlpha; // [K]
  const domain = alpha.findIndex((weight, i) => 1 - weight < LEFT_FOR_OTHERS * (1 - proxy.start[i]!));
  if (domain < 0) return [];
  return [
    {
      code: "weights-collapsed",
      domain,
      message:
        `${domains[domain]} holds ${percent(alpha[domain]!)} of the domain weight in ${steps(window)}, and the proxy is trained on hardly anything else; ` +
        `take a smaller step size (eta, stepSize) or more smoothing, and look whether the domain is noise that cannot be learned`,
    },
  ];
}

/** Of objectives whose weights are moved step by step: a best response to each batch may jump. */
export function stepSizeOf(objective: ObjectiveSettings): { name: string; value: number } | undefined {
  if (objective.name === "doremi") return { name: "eta", value: objective.eta };
  const isOnline = objective.name === "group-dro" && objective.update === "online";
  return isOnline ? { name: "stepSize", value: objective.stepSize } : undefined;
}

function weightsOscillating(window: Tally, { proxy }: DiagnosisSettings): Finding[] {
  const stepSize = proxy && stepSizeOf(proxy.objective);
  const moved = window.movedPerStep;
  if (!stepSize || moved <= WILD) return [];
  const calmer = Number(((stepSize.value * CALM) / moved).toPrecision(1));
  return [
    {
      code: "weights-oscillating",
      message:
        `each step moves ${percent(moved)} of the domain weight in ${steps(window)}, so that the proxy is trained on one domain now and on another then; ` +
        `take a smaller ${stepSize.name} (${stepSize.value} now; about ${calmer} is calm here) or a larger batch`,
    },
  ];
}

/** Of any steps, also of all. */
export function domainsNeverSeen(window: Tally, { proxy, domains }: DiagnosisSettings): Finding[] {
  if (!proxy) return [];
  return [...domains.keys()]
    .filter((domain) => window.domains.tokens[domain] === 0)
    .map((domain) => ({
      code: "domain-never-seen",
      domain,
      message:
        `${domains[domain]} is in no batch of ${steps(window)}, so nothing is learned of its weight; ` +
        `take a larger batch or another sampling, or join it with a domain like it`,
    }));
}

/**
 * Clipped token by token the excess is hardly ever 0, however good the proxy: some tokens are always harder for it. It
 * tells domains apart no longer when the proxy is better on the mean of each of them.
 */
function noExcess(window: Tally, { proxy }: DiagnosisSettings): Finding[] {
  if (!proxy || !needsReference(proxy.objective)) return [];
  const { domains } = window;
  const seen = [...domains.tokens.keys()].filter((domain) => domains.tokens[domain]! > 0);
  const without = (domain: number) =>
    domains.clipped[domain] === 0 || domains.excess[domain]! < -WORSE * domains.loss[domain]!;
  if (seen.length === 0 || !seen.every(without)) return [];
  return [
    {
      code: "no-excess",
      message:
        `the proxy is no worse than the reference on any domain in ${steps(window)}, so the weights follow what chance leaves of the excess loss; ` +
        `train the reference for more steps than the proxy, or give a better one`,
    },
  ];
}

function lossNotFalling(window: Tally, { steps: planned }: DiagnosisSettings, { first, best, fall }: Trend): Finding[] {
  const { meanLoss: loss } = window;
  const fallen = first - Math.min(loss, best?.meanLoss ?? loss);
  if (fallen < LEAST_FALL * first) {
    if (window.lastStep * 4 < planned || fall > FALLING * first) return []; // the rate may have been warming up
    const risen = loss - first > LEAST_FALL * first;
    return [
      {
        code: "loss-not-falling",
        message:
          `the loss is ${loss.toFixed(3)} in ${steps(window)} and was ${first.toFixed(3)} in the first step; ` +
          `take a ${risen ? "smaller learning rate" : "larger learning rate or more steps"}, or look whether the text is text`,
      },
    ];
  }
  if (!best) return [];
  const rise = loss - best.meanLoss;
  if (rise < RISE * fallen || rise < SURE * Math.sqrt(window.lossVariance + best.lossVariance)) return [];
  return [
    {
      code: "loss-not-falling",
      severity: rise / fallen,
      message:
        `the loss has risen from ${best.meanLoss.toFixed(3)} in ${steps(best)} to ${loss.toFixed(3)} in ${steps(window)}; ` +
        `take a smaller learning rate or a longer warm-up`,
    },
  ];
}

/** @param loss nats per token @param where “in steps 1 to 20” */
export function worseThanUniform(loss: number, where: string, vocabularySize: number): Finding[] {
  const uniform = Math.log(vocabularySize);
  if (!(loss > uniform * (1 + RUINED))) return [];
  return [
    {
      code: "worse-than-uniform",
      message:
        `the loss is ${loss.toFixed(3)} ${where}, and guessing evenly among ${vocabularySize} tokens loses ${uniform.toFixed(3)}, ` +
        `so the model knows nothing, and no weights follow from it; ` +
        `take a smaller learning rate or a longer warm-up, and of a model that was given look whether its tokenizer is this one`,
    },
  ];
}

function ruined(window: Tally, { vocabularySize }: DiagnosisSettings): Finding[] {
  return worseThanUniform(window.meanLoss, `in ${steps(window)}`, vocabularySize);
}

/** Of the loss alone, which few steps show. */
export const LOSS_CHECKS: readonly WindowCheck[] = [lossNotFalling, ruined];

export const WINDOW_CHECKS: readonly WindowCheck[] = [
  weightsCollapsed,
  weightsOscillating,
  domainsNeverSeen,
  noExcess,
  ...LOSS_CHECKS,
];
