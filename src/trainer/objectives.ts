/** The objectives as parts of a training graph, by their settings: the float32 twins of src/mixture/objectives.ts. */
import { DoremiError } from "../lib/errors.ts";
import type { ObjectiveFacts } from "../mixture/objective.ts";
import type { ObjectiveSettings } from "../mixture/objective-settings.ts";
import { createObjective } from "../mixture/objectives.ts";
import { doremiRule } from "./objectives/doremi.ts";
import { ermRule } from "./objectives/erm.ts";
import type { GraphObjective, GraphRule } from "./objectives/graph-objective.ts";

export function createGraphObjective(settings: ObjectiveSettings, facts: ObjectiveFacts): GraphObjective {
  const state = Object.entries(createObjective(settings, facts).init());
  return {
    state: Object.fromEntries(state.map(([name, values]) => [name, values.length])),
    ...ruleOf(settings, facts),
  };
}

function ruleOf(settings: ObjectiveSettings, facts: ObjectiveFacts): GraphRule {
  switch (settings.name) {
    case "doremi":
      return doremiRule(settings, facts);
    case "erm":
      return ermRule(facts);
    default:
      throw new DoremiError("bad-configuration", "unknown-objective", `objective: ${settings.name} has no graph yet`);
  }
}
