/** The objective that settings name, in float64. */
import { DoremiError } from "../lib/errors.ts";
import type { Objective, ObjectiveFacts } from "./objective.ts";
import type { ObjectiveSettings } from "./objective-settings.ts";
import { createDoReMi } from "./objectives/doremi.ts";
import { createErm } from "./objectives/erm.ts";

export function createObjective(settings: ObjectiveSettings, facts: ObjectiveFacts): Objective {
  switch (settings.name) {
    case "doremi":
      return createDoReMi(settings, facts);
    case "erm":
      return createErm(settings, facts);
    default:
      throw new DoremiError("bad-configuration", "unknown-objective", `objective: ${settings.name} is not there yet`);
  }
}
