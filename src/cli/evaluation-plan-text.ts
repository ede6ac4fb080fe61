/** The plan of an evaluation as text for a person. */
import type { EvaluationPlan } from "../pipeline/evaluation/plan.ts";
import { formatCount, formatFlops, plural } from "./numbers.ts";
import { approximate, planLines, stageLines } from "./plan-text.ts";
import { formatPairs, printable } from "./table.ts";

export function evaluationPlanLines(plan: EvaluationPlan): string[] {
  const { before, mixtures, seeds, model, parameters, training, trainings, stages, seconds, warnings } = plan;
  const [baseline = "", ...candidates] = mixtures.map(printable);
  return [
    ...planLines(before),
    "",
    "Main models",
    "",
    ...formatPairs([
      ["compared", `${candidates.join(", ")} with ${baseline}`],
      [
        "trainings",
        `${trainings}: ${plural(mixtures.length, "mixture")} of ${plural(seeds, "seed")}; equal weights are trained once`,
      ],
      [
        "model",
        `${model.architecture}, ${formatCount(parameters)} parameters, ${plural(model.layers, "layer")} of width ${model.width}, ${model.sequenceLength} positions`,
      ],
      [
        "each",
        `${plural(training.steps, "step")}, ${formatCount(training.tokens)} tokens, ${formatFlops(training.flops)} FLOP with its held-out losses`,
      ],
    ]),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map((warning) => `! ${warning}.`)]),
    ...(stages.length === 0 ? [] : ["", ...stageLines(plan)]),
    ...(seconds === null ? [] : ["", `In all, with what comes before: ${approximate(seconds)}.`]),
  ];
}
