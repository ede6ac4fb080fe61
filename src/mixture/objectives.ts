/** The objective that settings name, in float64. */
import type { Objective, ObjectiveFacts } from "./objective.ts";
import type { ObjectiveSettings } from "./objective-settings.ts";
import { createBall } from "./objectives/ball.ts";
import { createDoReMi } from "./objectives/doremi.ts";
import { createErm } from "./objectives/erm.ts";
import { createGroupDro } from "./objectives/group-dro.ts";
import { createTopicCvar } from "./objectives/topic-cvar.ts";

export function createObjective(settings: ObjectiveSettings, facts: ObjectiveFacts): Objective {
  switch (settings.name) {
    case "doremi":
      return createDoReMi(settings, facts);
    case "group-dro":
      return createGroupDro(settings, facts);
    case "topic-cvar":
      return createTopicCvar(settings, facts);
    case "cvar":
    case "chi-square":
    case "kl":
      return createBall(settings, facts);
    case "erm":
      return createErm(settings, facts);
    default:
      return settings satisfies never;
  }
}
