/**
 * Domains that are learned by heart: their loss on held-out text rises while that on their training text goes on falling. A
 * domain whose training loss rises as well is forgotten for others, as its weight may want it.
 */
import type { DiagnosedStep, DiagnosisSettings, Finding } from "./diagnosis-contract.ts";

/**
 * Share of its lowest held-out loss by which a domain's loss has to be above it. The same sequences are measured every
 * time, so that only the model's own wavering is to be exceeded.
 */
const RISE = 0.02;
/**
 * So many evaluations in a row show it. They may be of a few sequences, on which a model at a high learning rate has been
 * seen to lose a tenth and to find it again.
 */
const IN_A_ROW = 3;
/** Text that is not seen so often cannot be known by heart. */
const EPOCHS = 2;

interface DomainCourse {
  /** training loss since the evaluation before, Σ over tokens */
  since: { loss: number; tokens: number };
  /** lowest held-out loss */
  best: number;
  /** mean training loss between the evaluation with the lowest and the one after it */
  afterBest: number | undefined;
  /** evaluations in a row that are above the lowest by the share */
  above: number;
}

export class HeldOutCheck {
  readonly #settings: DiagnosisSettings;
  readonly #courses: readonly DomainCourse[]; // [K]

  constructor(settings: DiagnosisSettings) {
    this.#settings = settings;
    this.#courses = settings.domains.map(() => ({
      since: { loss: 0, tokens: 0 },
      best: Number.POSITIVE_INFINITY,
      afterBest: undefined,
      above: 0,
    }));
  }

  /** The held-out losses of a record are those before its step. */
  add({ step, loss, heldOut, proxy }: DiagnosedStep): Finding[] {
    const done = (step - 1) / this.#settings.steps;
    const findings = heldOut
      ? this.#courses.flatMap((course, domain) => this.#look(course, domain, heldOut[domain]!, done))
      : [];
    for (const [domain, { since }] of this.#courses.entries()) {
      // Which domains the loss of a reference's step is of is not known; its shares of them do not change.
      const tokens = proxy ? proxy.domains.tokens[domain]! : 1;
      since.loss += tokens * (proxy ? proxy.domains.loss[domain]! : loss);
      since.tokens += tokens;
    }
    return findings;
  }

  /** @param done share of the steps */
  #look(course: DomainCourse, domain: number, found: number, done: number): Finding[] {
    if (Number.isNaN(found)) return [];
    const training = course.since.loss / course.since.tokens; // NaN where it was in no batch
    course.since = { loss: 0, tokens: 0 };
    const { best } = course;
    if (found < best) {
      Object.assign(course, { best: found, afterBest: undefined, above: 0 });
      return [];
    }
    if (course.afterBest === undefined && !Number.isNaN(training)) course.afterBest = training;
    const rise = found / best - 1;
    course.above = rise > RISE ? course.above + 1 : 0;
    const epochs = this.#settings.epochs[domain]! * done;
    if (epochs < EPOCHS || course.above < IN_A_ROW) return [];
    if (course.afterBest === undefined || !(training < course.afterBest)) return [];
    return [
      {
        code: "overfitting",
        domain,
        severity: rise,
        message:
          `${this.#settings.domains[domain]}: held-out loss has risen from ${best.toFixed(3)} to ${found.toFixed(3)}, while the loss in training has fallen ` +
          `from ${course.afterBest.toFixed(3)} to ${training.toFixed(3)}, so its text, seen ${epochs.toFixed(1)} times by now, is learned by heart; ` +
          `give it more documents, or take fewer steps or a smaller model`,
      },
    ];
  }
}
