/** What `doremi export` does and shows: the table of the stacks, or one export with its proportions and notes. */
import { DoremiError } from "../lib/errors.ts";
import { EXPORTERS } from "../manifest/export/stacks.ts";
import { exportManifest } from "../pipeline/export.ts";
import { manifestPath } from "./paths.ts";
import { formatTable } from "./table.ts";

export interface ExportArguments {
  readonly output?: string;
  readonly data?: string;
  readonly sequenceLength?: number;
  readonly leaveOut?: readonly string[];
  readonly root?: string;
}

interface Shown {
  readonly result: object;
  readonly lines: readonly string[];
  readonly summary?: object;
}

export function list(): Shown {
  const stacks = EXPORTERS.map(({ stack, title, unit, reads, needsData, writes }) => ({
    stack,
    title,
    unit,
    reads,
    needsData,
    writes,
  }));
  const left = (header: string) => ({ header, align: "left" as const });
  const lines = formatTable(
    [left("stack"), left("for"), left("samples in"), left("--data"), left("files")],
    stacks.map(({ stack, title, unit, reads, needsData, writes }) => [
      stack,
      title,
      unit,
      // Every format, for those that only describe the files.
      `${reads.length > 4 ? "any" : reads.join(", ")}${needsData ? "" : " (or none)"}`,
      writes.join(", "),
    ]),
  );
  return { result: { stacks }, lines };
}

export async function exported(
  stack: string | undefined,
  given: string | undefined,
  options: ExportArguments,
): Promise<Shown> {
  const { output } = options;
  if (stack === undefined || given === undefined || output === undefined) {
    const missing = stack === undefined ? "a stack" : given === undefined ? "a manifest.json" : "--output";
    throw new DoremiError(
      "usage",
      "missing-argument",
      `doremi export needs a stack, a manifest.json and --output, and ${missing} is missing; \`doremi export --list\` shows the stacks`,
    );
  }
  const path = await manifestPath(given);
  const { root, data, sequenceLength, leaveOut } = options;
  const result = await exportManifest(stack, path, {
    output,
    ...(root !== undefined && { root }),
    ...(data !== undefined && { data }),
    ...(sequenceLength !== undefined && { sequenceLength }),
    ...(leaveOut !== undefined && { leaveOut }),
  });
  const { unit, files, proportions, notes } = result;
  const table = formatTable(
    [{ header: "domain", align: "left" }, { header: `share of ${unit}` }],
    Object.entries(proportions).map(([domain, share]) => [domain, share.toFixed(6)]),
  );
  return {
    result,
    lines: [`✓ ${result.output}: ${files.join(", ")}`, ...table, ...notes],
    summary: { stack, files, proportions, notes },
  };
}
