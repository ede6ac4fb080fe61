/** Settings of every objective that the tests of graphs go through. */
import {
  type BallSettings,
  DOREMI_PRESETS,
  type DoReMiSettings,
  type GroupDroSettings,
  type ObjectiveSettings,
} from "../../src/mixture/objective-settings.ts";

const PAPER: DoReMiSettings = DOREMI_PRESETS.paper;
const OFFICIAL: DoReMiSettings = DOREMI_PRESETS.official;
export const GROUP_DRO: GroupDroSettings = {
  name: "group-dro",
  stepSize: 0.5,
  adjustment: 0,
  adjustments: null,
  normalizeLoss: false,
  update: "online",
  fraction: 0.3,
  decay: 0.2,
  minWeight: 0,
};

const SIZES: readonly (readonly [BallSettings["name"], number, number])[] = [
  ["cvar", 0.5, 0],
  ["cvar", 0.05, 0],
  ["cvar", 1, 0],
  ["cvar", 0.3, 0.1],
  ["cvar", 0.7, 2],
  ["chi-square", 1, 0],
  ["chi-square", 0.01, 0],
  ["chi-square", 0, 0],
  ["chi-square", 1000, 0],
  ["chi-square", 0.5, 0.2],
  ["chi-square", 0.05, 0.01],
  ["kl", 0.5, 0],
  ["kl", 0.001, 0],
  ["kl", 0, 0],
  ["kl", 20, 0],
  ["kl", 0.5, 0.3],
  ["kl", 0.1, 0.01],
];
const BALLS = SIZES.flatMap(([name, size, regularization]) =>
  (["domains", "sequences"] as const).map((over): readonly [string, BallSettings] => [
    `${name} of ${size} over ${over}, penalty ${regularization}`,
    { name, size, regularization, over, losses: over === "domains" ? "excess" : "loss" },
  ]),
);

export const OBJECTIVE_CASES: readonly (readonly [string, ObjectiveSettings])[] = [
  ["erm", { name: "erm" }],
  ["doremi, paper", PAPER],
  ["doremi, official", OFFICIAL],
  ["doremi, clipped by domain, carrying zero", { ...PAPER, clip: "domain", missing: "carry" }],
  ["doremi, skipping, toward the reference", { ...PAPER, eta: 0.3, missing: "skip", smoothToward: "reference" }],
  ["doremi, skipping without smoothing, weighted by token", { ...OFFICIAL, missing: "skip", smoothing: 0 }],
  ["group-dro", GROUP_DRO],
  ["group-dro, adjusted, normalised", { ...GROUP_DRO, adjustment: 2, normalizeLoss: true }],
  ["group-dro, best response", { ...GROUP_DRO, update: "best-response", adjustment: 1, minWeight: 0.1 }],
  ["group-dro, best response over all", { ...GROUP_DRO, update: "best-response", fraction: 1 }],
  ["topic-cvar", { name: "topic-cvar", fraction: 0.2, decay: 0.1, baseline: "reference" }],
  ["topic-cvar of losses", { name: "topic-cvar", fraction: 0.6, decay: 1, baseline: "none" }],
  ...BALLS,
];
