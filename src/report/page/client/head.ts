/** The top of the page: what run this is, how far it is, what it came to, and what it warns of. */
import { integer, percent, short } from "../../charts/text.ts";
import type { ReportData, ReportStage } from "../../data/contract.ts";
import { el } from "./dom.ts";

const STATES: Readonly<Record<ReportData["run"]["state"], string>> = {
  waiting: "has not begun",
  running: "running",
  gone: "ended without a word: its process is gone",
  done: "done",
  unchanged: "done",
  failed: "failed",
  interrupted: "interrupted, its state saved",
};

export function headOf(data: ReportData): HTMLElement {
  const { run } = data;
  const from = run.startedAt === null ? "" : `started ${moment(run.startedAt)}`;
  const to = run.endedAt === null || run.state === "running" ? "" : `ended ${moment(run.endedAt)}`;
  return el(
    "div",
    {},
    el("h1", {}, run.pipeline ?? "A run of doremi"),
    el(
      "p",
      { class: "lead" },
      el("span", { class: `state ${run.state}`, id: "state" }, STATES[run.state]),
      [" ", ...[from, to, run.folder].filter((text) => text !== "")].join("  ·  ").replace(/^ {2}·/, ""),
    ),
    ...(run.error ? [el("p", { class: "lead" }, `${run.error.message} [${run.error.code}]`)] : []),
    ...data.problems.map((problem) => el("p", { class: "lead" }, `Left out: ${problem}`)),
  );
}

export function progressOf({ run, stages }: ReportData): HTMLElement | null {
  const shown = stages.filter(({ state }) => state !== "skipped");
  if (run.state === "done" || run.state === "unchanged" || shown.length === 0) return null;
  return el("section", { "aria-label": "Progress" }, el("h2", { id: "progress" }, "Progress"), ...shown.map(stageLine));
}

function stageLine(entry: ReportStage): HTMLElement {
  const { stage, state, progress } = entry;
  const isOver = state === "done" || state === "unchanged";
  const share = isOver ? 1 : progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  const bar = el("progress", { max: "1", value: String(share), "aria-label": `${stage}: ${percent(share)} done` });
  return el(
    "div",
    { class: "stage" },
    el("span", {}, stage),
    bar,
    el("span", { class: "quiet" }, describe(entry, share)),
  );
}

function describe({ state, progress }: ReportStage, share: number): string {
  if (state === "waiting") return "waiting";
  if (!progress || state === "done" || state === "unchanged") return state;
  const { done, total, unit, perSecond, secondsLeft, figures } = progress;
  return [
    ...(state === "running" ? [] : [state]),
    `${Math.floor(share * 100)}%`,
    `${short(done)} of ${short(total)} ${unit}`,
    ...(perSecond === null ? [] : [`${short(perSecond)} ${unit}/s`]),
    ...(typeof figures.loss === "number" ? [`loss ${figures.loss.toFixed(3)}`] : []),
    ...(secondsLeft === null || state !== "running" ? [] : [`${duration(secondsLeft)} left`]),
  ].join(", ");
}

export function cardsOf({ counts, weights, domains, run, trainings, stages }: ReportData): HTMLElement {
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
  const [tokenizer] = counts?.tokenizers ?? [];
  const learning = trainings.filter(({ kind }) => kind === "proxy");
  const worked = stages.reduce(
    (sum, { startedAt, endedAt }) => sum + (startedAt && endedAt ? Date.parse(endedAt) - Date.parse(startedAt) : 0),
    0,
  );
  const cards: [string, string][] = [
    ["domains", integer(domains.length)],
    ...(counts
      ? ([
          ["documents", integer(total(counts.documents))],
          [`tokens (${tokenizer!.name})`, short(total(tokenizer!.tokens))],
          ["shards", integer(counts.shards)],
        ] as [string, string][])
      : []),
    ...(learning.length > 0
      ? ([
          ["proxy steps", `${learning.length > 1 ? `${learning.length} × ` : ""}${integer(learning.at(-1)!.steps)}`],
        ] as [string, string][])
      : []),
    ...(weights?.learned
      ? ([["weight moved", percent(totalVariation(weights.baseline, weights.learned))]] as [string, string][])
      : []),
    ...(weights?.set ? ([["tokens of the set", short(weights.set.achievedTokens)]] as [string, string][]) : []),
    ...(worked > 0 && run.state !== "running"
      ? ([["time at work", duration(worked / 1000)]] as [string, string][])
      : []),
  ];
  return el(
    "dl",
    { class: "cards" },
    ...cards.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

/** Half the sum of the differences: the share that changed its domain. */
function totalVariation(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, k) => sum + Math.abs(value - (b[k] ?? 0)), 0) / 2;
}

export function messagesOf({ messages, evaluation }: ReportData): HTMLElement | null {
  const warnings = [
    ...messages
      .filter(({ kind }) => kind === "warning")
      .map((entry) => ({
        kind: "warning",
        text: `${entry.stage}, step ${integer(entry.step ?? 0)}: ${entry.message}${entry.code ? ` [${entry.code}]` : ""}`,
      })),
    ...(evaluation?.warnings ?? []).map((text) => ({ kind: "warning", text: `evaluate: ${text}` })),
    ...messages
      .filter(({ kind }) => kind === "note")
      .map(({ stage, message }) => ({ kind: "note", text: `${stage}: ${message}` })),
  ];
  if (warnings.length === 0) return null;
  return el(
    "ul",
    { class: "messages" },
    ...warnings.map(({ kind, text }) => el("li", { class: kind }, el("strong", {}, `${kind}: `), text)),
  );
}

function moment(time: string): string {
  return `${time.slice(0, 16).replace("T", " ")} UTC`;
}

/** 75 → 1 min 15 s */
/** @param messages as `messagesOf` gives them */
export function messagesTitle(messages: Element): string {
  const warnings = messages.querySelectorAll(".warning").length;
  const notes = messages.children.length - warnings;
  return [warnings > 0 ? `Warnings (${warnings})` : "", notes > 0 ? `Notes (${notes})` : ""].filter(Boolean).join(", ");
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}
