/** The stacks that a manifest can be exported to, and how one is found by its name on the command line. */
import { DoremiError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { croissant } from "./croissant.ts";
import { datasets } from "./datasets.ts";
import type { Exporter } from "./exporter.ts";
import { levanter } from "./levanter.ts";
import { litgpt } from "./litgpt.ts";
import { megatron } from "./megatron.ts";
import { nanotron } from "./nanotron.ts";
import { nemo } from "./nemo.ts";
import { olmoCore } from "./olmo-core.ts";
import { openlineage } from "./openlineage.ts";
import { streaming } from "./streaming.ts";
import { torchtitan } from "./torchtitan.ts";

export const EXPORTERS: readonly Exporter[] = [
  megatron,
  nemo,
  datasets,
  streaming,
  olmoCore,
  nanotron,
  levanter,
  torchtitan,
  litgpt,
  croissant,
  openlineage,
];

/** @throws DoremiError unknown-stack */
export function exporterOf(stack: string): Exporter {
  const exporter = EXPORTERS.find((one) => one.stack === stack);
  if (exporter) return exporter;
  const names = EXPORTERS.map((one) => one.stack);
  const message = `stack must be one of ${names.join(", ")}, got ${stack}${didYouMean(stack, names)}`;
  throw new DoremiError("usage", "unknown-stack", message);
}
