/** A plan as text for a person: what is there, what is missing, what would be done. */
import { unitText } from "../manifest/units.ts";
import type { PipelinePlan } from "../pipeline/plan.ts";
import { formatBytes, formatCount, formatDuration, formatFlops, formatInteger, plural } from "./numbers.ts";
import { shownPath } from "./paths.ts";
import { selectionText } from "./selection-text.ts";
import { formatPairs, formatTable, printable } from "./table.ts";

export function planLines(plan: PipelinePlan): string[] {
  return [
    ...formatPairs([
      ["pipeline", plan.name],
      ["output", shownPath(plan.output)],
      ...(plan.running ? [["at work", runningText(plan.running)] as const] : []),
      ["files", `${plural(plan.files.found, "file")} found, ${formatBytes(plan.files.bytes)}`],
    ]),
    ...section(domainLines(plan)),
    ...section(missingLines(plan)),
    ...section(trainingLines(plan)),
    ...section(trainingWarnings(plan)),
    ...section(resampleLines(plan)),
    ...section(stageLines(plan)),
    ...section(closingLines(plan)),
  ];
}

function runningText({ host, pid, startedAt }: NonNullable<PipelinePlan["running"]>): string {
  return `a run, process ${pid} on ${printable(host)} since ${startedAt}; another is refused until it ends`;
}

function section(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", ...lines];
}

function domainLines({ domains, missing }: PipelinePlan): string[] {
  if (domains.length === 0) return [];
  const estimated = domains.some((domain) => !domain.counted);
  // With files missing nothing was opened, so nothing is known of the tokens.
  const withTokens = missing.length === 0;
  const row = (name: string, files: number, bytes: number, tokens: string) =>
    withTokens
      ? [name, formatInteger(files), formatBytes(bytes), tokens]
      : [name, formatInteger(files), formatBytes(bytes)];
  const sum = (pick: (domain: PipelinePlan["domains"][number]) => number) =>
    domains.reduce((total, domain) => total + pick(domain), 0);
  const tokensOf = (tokens: number, counted: boolean) => `${counted ? "" : "~ "}${formatInteger(tokens)}`;
  return formatTable(
    [
      { header: "domain", align: "left" },
      { header: "files" },
      { header: "size" },
      ...(withTokens ? [{ header: estimated ? "tokens (estimated)" : "tokens" }] : []),
    ],
    domains.map(({ name, files, bytes, tokens, counted }) => row(name, files, bytes, tokensOf(tokens, counted))),
    [
      row(
        "total",
        sum((domain) => domain.files),
        sum((domain) => domain.bytes),
        tokensOf(
          sum((domain) => domain.tokens),
          !estimated,
        ),
      ),
    ],
  );
}

function missingLines({ missing }: PipelinePlan): string[] {
  if (missing.length === 0) return [];
  return [
    `Missing (${formatInteger(missing.length)}):`,
    ...missing.map(
      ({ domain, message }) => `  ✗ ${domain === null ? "" : `domain ${printable(domain)}: `}${printable(message)}`,
    ),
  ];
}

function trainingLines({ training }: PipelinePlan): string[] {
  const { model, vocabularyKnown, parameters, bodyParameters, tokensPerStep, reference, proxy, memory } = training;
  const { architecture, layers, width, heads, innerWidth, sequenceLength, vocabularySize } = model;
  const amount = ({ steps, tokens, flops }: typeof proxy) =>
    `${plural(steps, "step")}, ${formatCount(tokens)} tokens, ${formatFlops(flops)} FLOP`;
  const trainings = trainingsText(training);
  return formatPairs([
    [
      "models",
      `${architecture}, ${formatCount(parameters)} parameters (${formatCount(bodyParameters)} without embeddings), ${formatInteger(tokensPerStep)} tokens a step`,
    ],
    [
      "sizes",
      `${plural(layers, "layer")} of width ${width} and inner width ${innerWidth}, ${plural(heads, "head")}, ${formatInteger(sequenceLength)} positions, vocabulary ${formatInteger(vocabularySize)}${vocabularyKnown ? "" : " (a guess)"}`,
    ],
    ["reference", reference.from === "training" ? amount(reference) : UNTRAINED[reference.from]],
    ["proxy", amount(proxy)],
    ...(trainings === undefined ? [] : [["trainings", trainings] as const]),
    ...(memory ? [["memory", memoryText(memory)] as const] : []),
  ]);
}

const UNTRAINED = {
  model: "not trained here: a model is given",
  nowhere: "none: the proxy's objective needs no reference",
} as const;

/** How often what the lines above say is done; undefined where it is done once. */
function trainingsText({ reference, rounds, seeds }: PipelinePlan["training"]): string | undefined {
  const count = rounds.count * seeds;
  if (count === 1) return undefined;
  const of = [
    ...(rounds.count > 1 ? [plural(rounds.count, "round") + (rounds.auto ? " at most" : "")] : []),
    ...(seeds > 1 ? [plural(seeds, "seed") + (rounds.count > 1 ? " each" : "")] : []),
  ].join(" of ");
  const models =
    reference.from === "training" ? `${plural(count, "reference")} and ${count} proxies` : `${count} proxies`;
  return `${of}: ${models}`;
}

function memoryText({ machine, reference, proxy }: NonNullable<PipelinePlan["training"]["memory"]>): string {
  const needs = [
    ...(reference ? [`reference ~ ${formatBytes(reference.total)}`] : []),
    `proxy ~ ${formatBytes(proxy.total)}`,
  ];
  return `${needs.join(", ")}, of ${formatBytes(machine.available)} that are free`;
}

function trainingWarnings({ training: { engineFault, memory } }: PipelinePlan): string[] {
  const warnings = [...(engineFault === null ? [] : [engineFault]), ...(memory?.warnings ?? [])];
  return warnings.map((warning) => `! ${warning}.`);
}

function resampleLines({ resample }: PipelinePlan): string[] {
  if (resample === null) return [];
  const { weights, unit, budgetTokens, maxEpochs, minShare, onCap, selection } = resample;
  const cap =
    onCap === "fail" ? "a budget that passes one is refused" : "what they cut off goes to the others by weight";
  return formatPairs([
    ["weights", `${weights}, by ${unitText(unit)}`],
    ["budget", budgetTokens === "auto" ? "as much as the epoch caps allow" : `${formatInteger(budgetTokens)} tokens`],
    ["most epochs", `${settingText(maxEpochs)}; ${cap}`],
    ...(minShare === 0 ? [] : [["least share", settingText(minShare)] as const]),
    ["choice", selectionText(selection)],
  ]);
}

/** A number for all domains, or a table of some. */
function settingText(setting: number | Readonly<Record<string, number>>): string {
  if (typeof setting === "number") return String(setting);
  return Object.entries(setting)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

export function stageLines({ stages }: Pick<PipelinePlan, "stages">): string[] {
  if (stages.length === 0) return [];
  return formatTable(
    [
      { header: "stage", align: "left" },
      { header: "status", align: "left" },
      { header: "time" },
      { header: "why", align: "left" },
    ],
    foldRounds(stages).map(({ name, status, why, seconds }) => [name, status, approximate(seconds), why]),
  );
}

/** Of a round after the first, all that is to do for the same reason comes to one line: there are many of them. */
function foldRounds(stages: PipelinePlan["stages"]): PipelinePlan["stages"] {
  const folded: { stage: PipelinePlan["stages"][number]; round: string | undefined; of: number }[] = [];
  for (const stage of stages) {
    const round = stage.status === "to do" ? /-round-(\d+)(-seed-\d+)?$/.exec(stage.name)?.[1] : undefined;
    const last = folded.at(-1);
    if (!last || round === undefined || last.round !== round || last.stage.why !== stage.why) {
      folded.push({ stage, round, of: 1 });
      continue;
    }
    const of = last.of + 1;
    const seconds = (last.stage.seconds ?? 0) + (stage.seconds ?? 0);
    const name = `round ${round}, ${plural(of, "stage")}`;
    folded[folded.length - 1] = { round, of, stage: { ...stage, name, seconds } };
  }
  return folded.map(({ stage }) => stage);
}

function closingLines({ stages, missing, seconds, assumptions, training }: PipelinePlan): string[] {
  if (missing.length > 0)
    return ["A run would stop at the first missing file. Put the files in place, or correct the paths."];
  if (stages.every((stage) => stage.status === "unchanged"))
    return ["Nothing to do: every stage is done and unchanged."];
  if (seconds === null) return [];
  const most = training.rounds.auto && training.rounds.count > 1 ? "at most " : "";
  return [`In all ${most}${approximate(seconds)}, assuming`, ...assumptions.map((text) => `  - ${text}`)];
}

/** Estimates are good for an order of magnitude, so seconds suffice. */
export function approximate(seconds: number | null): string {
  if (seconds === null) return "";
  return seconds < 1 ? "< 1 s" : `~ ${formatDuration(seconds * 1000)}`;
}
