/**
 * Domains that are learned by heart: their loss on held-out text rises while that on their training text does not. A domain
 * whose training loss rises as well is forgotten for others, which its weight is for.
 */
import type { DiagnosedStep } from "./diagnosis.ts";
import type { Finding } from "./diagnosis-windows.ts";

/**
 * Share of its lowest held-out loss by which a domain's loss has to be above it. The same sequences are measured every
 * time, so that only the model's own wavering is to be exceeded.
 */
const RISE = 0.02;
/** So many evaluations in a row show it. */
const IN_A_ROW = 2;

/** Training loss, Σ over tokens. */
interface Between {
  loss: number;
  tokens: number;
}

/** A domain at an evaluation. */
interface Point {
  readonly heldOut: number;
  /** mean training loss since the evaluation before; undefined where there was none */
  readonly training: number | undefined;
}

interface DomainCourse {
  since: Between;
  best: Point | undefined;
  /** evaluations in a row that are above the best by the share */
  above: number;
}

export class HeldOutCheck {
  readonly #names: readonly string[];
  readonly #courses: readonly DomainCourse[]; // [K]

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#courses = names.map(() => ({ since: { loss: 0, tokens: 0 }, best: undefined, above: 0 }));
  }

  /** The held-out losses of a record are those before its step. */
  add({ loss, heldOut, proxy }: DiagnosedStep): Finding[] {
    const findings = heldOut ? this.#courses.flatMap((course, domain) => this.#evaluate(course, domain, heldOut)) : [];
    for (const [domain, { since }] of this.#courses.entries()) {
      // Which domains the loss of a reference's step is of is not known; its shares of them do not change.
      const tokens = proxy ? proxy.domains.tokens[domain]! : 1;
      since.loss += tokens * (proxy ? proxy.domains.loss[domain]! : loss);
      since.tokens += tokens;
    }
    return findings;
  }

  #evaluate(course: DomainCourse, domain: number, heldOut: Float64Array): Finding[] {
    const found = heldOut[domain]!;
    if (Number.isNaN(found)) return [];
    const { since, best } = course;
    const training = since.tokens === 0 ? undefined : since.loss / since.tokens;
    course.since = { loss: 0, tokens: 0 };
    if (!best || found < best.heldOut) {
      course.best = { heldOut: found, training };
      course.above = 0;
      return [];
    }
    const learned = training !== undefined && best.training !== undefined && training <= best.training;
    const rise = found / best.heldOut - 1;
    course.above = learned && rise > RISE ? course.above + 1 : 0;
    if (course.above < IN_A_ROW) return [];
    return [
      {
        code: "overfitting",
        domain,
        severity: rise,
        message:
          `${this.#names[domain]}: held-out loss has risen from ${best.heldOut.toFixed(3)} to ${found.toFixed(3)}, while the loss in training has not ` +
          `(${best.training!.toFixed(3)} to ${training!.toFixed(3)}), so its text is learned by heart; ` +
          `give it more documents, or take fewer steps or a smaller model`,
      },
    ];
  }
}
