/**
 * Says what goes wrong in a training while it runs: step records in, named warnings out, each with what to change. Pure,
 * and a function of the records alone, so that a resumed training that shows it the steps before again goes on as if it
 * had never stopped. Judges nothing within the first steps, and nothing by the length of the run: thresholds are shares. Of a run
 * of few steps it judges the loss alone, and says so.
 */
import type {
  DiagnosedStep,
  DiagnosisSettings,
  Finding,
  HeldOutLosses,
  TrainingWarning,
} from "./diagnosis-contract.ts";
import { DriftCheck } from "./diagnosis-drift.ts";
import { HeldOutCheck } from "./diagnosis-held-out.ts";
import { Tally } from "./diagnosis-tally.ts";
import { domainsNeverSeen, LOSS_CHECKS, type Trend, WINDOW_CHECKS, worseThanUniform } from "./diagnosis-windows.ts";

/** Steps that are summed up before anything is looked at: a share of the run, and what evens out a few batches at least. */
const BLOCK_SHARE = 1 / 20;
const LEAST_BLOCK = 20;

/** Mean held-out loss of a model, nats per token; undefined where nothing is held out. */
function meanHeldOut({ loss, tokens }: HeldOutLosses): number | undefined {
  const total = tokens.reduce((sum, count) => sum + count, 0);
  return total === 0 ? undefined : loss.reduce<number>((sum, mean, k) => sum + (mean ?? 0) * tokens[k]!, 0) / total;
}

/** What the held-out loss of a model says that was not trained here. */
export function diagnoseModel(heldOut: HeldOutLosses, vocabularySize: number): TrainingWarning[] {
  const findings = worseThanUniform(meanHeldOut(heldOut) ?? 0, "on held-out text", vocabularySize);
  return findings.map(({ code, message }) => ({ code, message, step: 0 }));
}

/** A warning is repeated when what it is about has become so many times as bad. */
const MUCH_WORSE = 2;

export class Diagnosis {
  readonly #settings: DiagnosisSettings;
  /** without two whole blocks: its halves are taken for them */
  readonly #isShort: boolean;
  readonly #blockSteps: number;
  readonly #drift: DriftCheck;
  readonly #heldOut: HeldOutCheck;
  /** severity of what was said last, by code and domain */
  readonly #said = new Map<string, number>();
  /** of all blocks that are full, of the last of them, and of the one that is being filled */
  #whole: Tally;
  #before: Tally | undefined;
  #block: Tally;
  /** loss of the first step */
  #first: number | undefined;
  /** the window with the lowest loss so far */
  #best: Tally | undefined;

  constructor(settings: DiagnosisSettings) {
    const { domains, proxy, steps } = settings;
    this.#settings = settings;
    const whole = Math.max(LEAST_BLOCK, Math.ceil(steps * BLOCK_SHARE));
    this.#isShort = steps < 2 * whole;
    this.#blockSteps = this.#isShort ? Math.max(1, Math.floor(steps / 2)) : whole;
    this.#drift = new DriftCheck(settings);
    this.#heldOut = new HeldOutCheck(settings);
    this.#whole = new Tally(domains.length);
    this.#block = new Tally(domains.length, proxy?.start);
  }

  /** Takes each step of the training once, from the first on. */
  observe(record: DiagnosedStep): TrainingWarning[] {
    this.#first ??= record.loss;
    this.#block.add(record);
    this.#drift.add(record);
    const findings = this.#heldOut.add(record);
    if (this.#block.steps === this.#blockSteps) findings.push(...this.#endBlock(this.#first));
    return this.#news(findings, record.step);
  }

  /** After the last step. @param heldOut losses of the model that was trained */
  finish(heldOut?: HeldOutLosses): TrainingWarning[] {
    const whole = this.#whole.with(this.#block);
    if (whole.steps === 0) return [];
    const { vocabularySize } = this.#settings;
    const mean = heldOut && meanHeldOut(heldOut);
    const findings = [
      ...domainsNeverSeen(whole, this.#settings),
      ...this.#drift.finish(),
      ...this.#tooFewSteps(whole.steps),
      ...(mean === undefined ? [] : worseThanUniform(mean, "on held-out text", vocabularySize)),
    ];
    return this.#news(findings, whole.lastStep);
  }

  #tooFewSteps(steps: number): Finding[] {
    const { proxy } = this.#settings;
    if (!this.#isShort || !proxy || proxy.objective.name === "erm") return [];
    const message =
      `${steps} steps are too few to learn weights or to judge them: they are little else than those that the training started from; ` +
      `take some hundreds of steps at least`;
    return [{ code: "too-few-steps", message }];
  }

  /** Looks at the last two blocks together: what is wrong for a tenth of the run is no accident of some batches. */
  #endBlock(first: number): Finding[] {
    const [before, block] = [this.#before, this.#block];
    this.#whole = this.#whole.with(block);
    this.#before = block;
    this.#block = block.next();
    if (!before) return [];
    const window = before.with(block);
    const trend: Trend = { first, best: this.#best, fall: before.meanLoss - block.meanLoss };
    if (!this.#best || window.meanLoss < this.#best.meanLoss) this.#best = window;
    return (this.#isShort ? LOSS_CHECKS : WINDOW_CHECKS).flatMap((check) => check(window, this.#settings, trend));
  }

  #news(findings: readonly Finding[], step: number): TrainingWarning[] {
    return findings.flatMap(({ code, message, domain, severity = 1 }) => {
      const key = `${code} ${domain ?? ""}`;
      const said = this.#said.get(key);
      if (said !== undefined && severity < said * MUCH_WORSE) return [];
      this.#said.set(key, severity);
      const name = domain === undefined ? undefined : this.#settings.domains[domain]!;
      return [{ code, message, step, ...(name !== undefined && { domain: name }) }];
    });
  }
}
