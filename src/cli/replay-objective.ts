/**
 * An objective as the command line has it, `doremi,preset=official,eta=0.1`: read with the schema of the pipeline file's
 * `train.proxy.objective`, and shown again as short as it goes.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { DOREMI_PRESETS, OBJECTIVE_NAMES, type ObjectiveSettings } from "../mixture/objective-settings.ts";
import { flattenIssues, ruleOf } from "../pipeline/schema-issues.ts";
import { completeObjective, objective } from "../stages/proxy/objective.ts";

/** @throws DoremiError usage: unknown-objective, unknown-setting, bad-setting */
export function parseObjective(text: string): ObjectiveSettings {
  // Commas of a list, such as adjustments=[1,null,2], divide no settings.
  const [name = "", ...parts] = text.split(/,(?![^[]*\])/).map((part) => part.trim());
  if (!(OBJECTIVE_NAMES as readonly string[]).includes(name)) {
    const hint = didYouMean(name, OBJECTIVE_NAMES) || `; there are ${OBJECTIVE_NAMES.join(", ")}`;
    throw fault("unknown-objective", text, `there is no objective “${name}”${hint}`);
  }
  const settings: Record<string, unknown> = { name };
  const known = settingsOf(name);
  for (const part of parts) {
    const [, key, value] = /^([^=]*?)\s*=\s*(.*)$/.exec(part) ?? [];
    if (key === undefined)
      throw fault("bad-setting", text, `“${part}” must be a setting and its value, such as eta=0.1`);
    if (!known.includes(key)) {
      const hint = didYouMean(key, known) || (known.length > 0 ? `; it has ${known.join(", ")}` : "; it has none");
      throw fault("unknown-setting", text, `${name} has no setting “${key}”${hint}`);
    }
    if (Object.hasOwn(settings, key)) throw fault("bad-setting", text, `“${key}” is there twice; give it once`);
    settings[key] = settingValue(value!);
  }
  const parsed = completeObjective.safeParse(settings);
  if (parsed.success) return parsed.data;
  const issue = flattenIssues(parsed.error.issues, settings)[0]!;
  const key = String(issue.path[0]);
  const found = settings[key];
  const near =
    issue.code === "invalid_value" && typeof found === "string" ? didYouMean(found, issue.values.map(String)) : "";
  throw fault("bad-setting", text, `“${key}” ${ruleOf(issue)}, found ${JSON.stringify(found)}${near}`);
}

/** The name, and the settings that are not what is left out means. */
export function objectiveParts(settings: ObjectiveSettings): readonly string[] {
  const shorter = [
    { parts: [] as string[], from: objective.parse(settings.name) },
    ...(settings.name === "doremi" ? [{ parts: ["preset=official"], from: DOREMI_PRESETS.official }] : []),
  ].map(({ parts, from }) => [...parts, ...differences(settings, from)]);
  const shortest = shorter.reduce((best, parts) => (parts.length < best.length ? parts : best));
  return [settings.name, ...shortest];
}

function differences(settings: ObjectiveSettings, from: object): string[] {
  const others = new Map(Object.entries(from));
  return Object.entries(settings)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(others.get(key)))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
}

/** Every setting has a default, so that the defaults name them all; presets are for doremi's alone. */
function settingsOf(name: string): string[] {
  const settings = Object.keys(objective.parse(name)).filter((key) => key !== "name");
  return name === "doremi" ? ["preset", ...settings] : settings;
}

/** A number, true, false, null or a list as JSON has it; all else is a word. */
function settingValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function fault(code: ErrorCode, text: string, message: string): DoremiError {
  return new DoremiError("usage", code, `--objective ${text}: ${message}`);
}
