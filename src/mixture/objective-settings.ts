/**
 * The settings of every objective, as plain data with every default filled in. Names follow the papers'; presets are what
 * a paper or a published program does.
 */

/** Algorithm 1 of Xie et al. 2023 (arXiv 2305.10429), and where the official code differs. */
export interface DoReMiSettings {
  readonly name: "doremi";
  /** step size η of the multiplicative update */
  readonly eta: number;
  /** c: share of `smoothToward` that is mixed in after each update, 0..1 */
  readonly smoothing: number;
  /** excess is clipped at 0 token by token, or after the mean over the domain */
  readonly clip: "token" | "domain";
  /**
   * Excess of a domain that is not in the batch: 0; that of the last batch with it; or skip, which leaves its weight
   * (before smoothing) and moves those of the domains in the batch among themselves.
   */
  readonly missing: "zero" | "carry" | "skip";
  /** carry: excess of a domain before it was in any batch. ln-vocabulary: ln V, the loss of a model that knows nothing */
  readonly carryStart: "zero" | "ln-vocabulary";
  readonly smoothToward: "uniform" | "reference";
  /** the mean of the weights, which is the result, counts α₀ */
  readonly average: "without-start" | "with-start";
  /**
   * domain-mean: Σ α_i · mean loss of domain i. token-weighted: Σ w · loss ÷ Σ w over the tokens, with w = α ÷ sampling
   * share of the token's domain.
   */
  readonly loss: "domain-mean" | "token-weighted";
}

/** Sagawa et al. 2020 (arXiv 1911.08731), Algorithm 1, and the greedy variant of their code. */
export interface GroupDroSettings {
  readonly name: "group-dro";
  /** η of the online update q_g ∝ q_g·exp(η · loss_g) */
  readonly stepSize: number;
  /**
   * C of the generalization adjustment C ÷ √n_g, where n_g counts a domain's training sequences; 0 = none. held-out: what
   * held-out loss exceeds the running training loss by, taken anew whenever the proxy is evaluated.
   */
  readonly adjustment: number | "held-out";
  /** C of single domains, by index, in place of `adjustment`; null = as `adjustment` */
  readonly adjustments: readonly (number | null)[] | null;
  /** each loss is divided by the sum of all before the update */
  readonly normalizeLoss: boolean;
  /** online; or greedy best response (“btl”): domains in order of their running loss share `fraction` of the data */
  readonly update: "online" | "best-response";
  /** best-response: share of the training data that the weight is spread over, α */
  readonly fraction: number;
  /** best-response: decay γ of the running losses */
  readonly decay: number;
  /** best-response: least weight of a domain, as a share of its share of the data */
  readonly minWeight: number;
}

/** Oren et al. 2019 (arXiv 1909.02060): CVaR over topics. With a reference, excess loss stands for their baseline. */
export interface TopicCvarSettings {
  readonly name: "topic-cvar";
  /** α: a domain's weight is at most its share of the training data ÷ α */
  readonly fraction: number;
  /** decay of the running mean loss of each domain: new = (1 − decay) · old + decay · batch */
  readonly decay: number;
  /** none: loss; reference: loss − reference, which makes it DoReMi's CVaR */
  readonly baseline: "none" | "reference";
}

/**
 * Best response to the batch inside a ball around the uniform distribution over its domains or its sequences (Duchi &
 * Namkoong 2018, arXiv 1810.08750; Levy et al. 2020): max Σ p_i ℓ_i − penalty, p on the simplex.
 */
export interface BallSettings {
  /** cvar: p_i ≤ 1 ÷ (size · m). chi-square: ½ mean (m p − 1)² ≤ size. kl: Σ p ln(m p) ≤ size */
  readonly name: "cvar" | "chi-square" | "kl";
  readonly size: number;
  /** weight of the penalty: of KL(p‖u) for cvar, of ½ mean (m p − 1)² for chi-square, of KL(p‖u) for kl; 0 = none */
  readonly regularization: number;
  readonly over: "domains" | "sequences";
  readonly losses: "loss" | "excess";
}

/** Every token counts the same: what sampling makes of the domains. */
export interface ErmSettings {
  readonly name: "erm";
}

export type ObjectiveSettings = DoReMiSettings | GroupDroSettings | TopicCvarSettings | BallSettings | ErmSettings;
export type ObjectiveName = ObjectiveSettings["name"];

export const OBJECTIVE_NAMES = ["doremi", "group-dro", "topic-cvar", "cvar", "chi-square", "kl", "erm"] as const;

/** DoReMi as Algorithm 1 has it, and as the official repository's trainer computes it. */
export const DOREMI_PRESETS = {
  paper: {
    name: "doremi",
    eta: 1,
    smoothing: 1e-3,
    clip: "token",
    missing: "zero",
    carryStart: "zero",
    smoothToward: "uniform",
    average: "without-start",
    loss: "domain-mean",
  },
  official: {
    name: "doremi",
    eta: 1,
    smoothing: 1e-3,
    clip: "token",
    missing: "carry",
    carryStart: "ln-vocabulary",
    smoothToward: "uniform",
    average: "with-start",
    loss: "token-weighted",
  },
} as const satisfies Readonly<Record<string, DoReMiSettings>>;

/** Does it look at the reference's losses? Where not, none needs to run. */
export function needsReference(settings: ObjectiveSettings): boolean {
  switch (settings.name) {
    case "doremi":
      return true;
    case "topic-cvar":
      return settings.baseline === "reference";
    case "cvar":
    case "chi-square":
    case "kl":
      return settings.losses === "excess";
    case "group-dro":
    case "erm":
      return false;
    default:
      return settings satisfies never;
  }
}

/**
 * Do its weights of one step serve a part of the next one's batch (accumulation: stale)? Where they follow from the losses
 * of the batch alone, they do not.
 */
export function allowsStaleWeights(settings: ObjectiveSettings): boolean {
  return settings.name === "doremi";
}

/** Does the mean of the weights over the steps count those before the first? */
export function averagesStart(settings: ObjectiveSettings): boolean {
  return settings.name === "doremi" && settings.average === "with-start";
}
