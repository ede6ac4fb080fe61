/** The objectives as parts of a training graph, by their settings: the float32 twins of src/mixture/objectives.ts. */
import type { ObjectiveFacts } from "../mixture/objective.ts";
import type { ObjectiveSettings } from "../mixture/objective-settings.ts";
import { createObjective } from "../mixture/objectives.ts";
import { ballRule } from "./objectives/ball.ts";
import { doremiRule } from "./objectives/doremi.ts";
import { ermRule } from "./objectives/erm.ts";
import type { GraphObjective, GraphRule } from "./objectives/graph-objective.ts";
import { groupDroRule } from "./objectives/group-dro.ts";
import { topicCvarRule } from "./objectives/topic-cvar.ts";

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
    case "group-dro":
      return groupDroRule(settings, facts);
    case "topic-cvar":
      return topicCvarRule(settings, facts);
    case "cvar":
    case "chi-square":
    case "kl":
      return ballRule(settings, facts);
    case "erm":
      return ermRule(facts);
    default:
      return settings satisfies never;
  }
}
