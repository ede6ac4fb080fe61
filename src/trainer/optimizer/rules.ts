/** The update rules by name, and the state that one keeps for a model. */
import type { OptimizerConfig } from "../contract.ts";
import { adafactor } from "./adafactor.ts";
import { adamW } from "./adamw.ts";
import type { Shape, UpdateRule } from "./update-rule.ts";

export function updateRule(config: OptimizerConfig): UpdateRule {
  switch (config.name) {
    case "adamw":
      return adamW(config);
    case "adafactor":
      return adafactor(config);
    default:
      return config satisfies never;
  }
}

/** What a checkpoint stores beside the parameters, all zeros before the first step: KIND/NAME. */
export function optimizerStateShapes(
  shapes: Readonly<Record<string, Shape>>,
  config: OptimizerConfig,
): Record<string, Shape> {
  const rule = updateRule(config);
  const state: Record<string, Shape> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    for (const [kind, kindShape] of Object.entries(rule.stateOf(shape))) state[stateName(kind, name)] = kindShape;
  }
  return state;
}

export function stateName(kind: string, parameter: string): string {
  return `${kind}/${parameter}`;
}
