/** What several parts of the pipeline file's schema are made of. */
import { z } from "zod";
import type { SettingFault } from "../../trainer/settings.ts";

export const name = z.string().min(1).max(200);
export const positiveInteger = z.int().positive();
export const fraction = z.number().min(0).max(1);

export const patterns = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((value) => (typeof value === "string" ? [value] : value))
  .describe("Paths or globs (* ** ? [] {a,b}), relative to the pipeline file, or URIs: s3://, gs://, az://, https://.");

/** Rules that more than one setting decides, or that a JSON Schema cannot say. */
export function refuse<Settings>(faults: (settings: Settings) => SettingFault[]) {
  return ({ value, issues }: z.core.ParsePayload<Settings>): void => {
    for (const fault of faults(value)) {
      issues.push({
        code: "custom",
        path: [fault.setting],
        params: fault,
        input: value,
        message: `must ${fault.rule}`,
      });
    }
  };
}
