/** Puts the page together from the data in it, and keeps it so as its reader filters, sorts, chooses and prints. */
import { bySize, LINES_SHOWN, ROWS_SHOWN, SECTIONS } from "../../charts/all.ts";
import type { ChartView } from "../../charts/contract.ts";
import { openChart, renderChart } from "../../charts/echarts.ts";
import { FAMILY } from "../../charts/rows.ts";
import { measureTextBy } from "../../charts/text.ts";
import { DARK, LIGHT } from "../../charts/theme.ts";
import type { ReportData } from "../../data/contract.ts";
import { ChartSet, PRINT_WIDTH } from "./charts.ts";
import { button, choice, el } from "./dom.ts";
import { cardsOf, headOf, messagesOf, messagesTitle, progressOf } from "./head.ts";
import type { ShownTable } from "./table.ts";
import {
  domainTable,
  evaluationTable,
  extremesTable,
  flowTable,
  hashTable,
  lengthTable,
  roundsTable,
  stageTable,
} from "./tables.ts";

/** Lines at most: each has a look of its own. */
const LINES_LIMIT = 32;
const REDRAW_MS = 120;
const THEME_KEY = "doremi-report-theme";

const ORDERS = {
  size: "largest weight first",
  file: "as in the pipeline",
  name: "by name",
  gain: "by learned ÷ baseline",
  tokens: "by tokens",
} as const;

class Page {
  #data: ReportData;
  readonly #root: HTMLElement;
  readonly #charts = new ChartSet();
  readonly #top = el("div");
  readonly #nav = el("nav", { "aria-label": "Sections" });
  readonly #tableParts = new Map<string, HTMLElement>();
  readonly #sections = new Map<string, HTMLElement>();
  #tables: ShownTable[] = [];
  #filter = "";
  #order: keyof typeof ORDERS = "size";
  #rows = ROWS_SHOWN;
  #logarithmic = false;
  /** undefined until the reader has chosen */
  #chosen: Set<number> | undefined;
  #printing = false;
  #settled = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement, data: ReportData) {
    this.#root = root;
    this.#data = data;
    applyTheme(storedTheme());
    this.#build();
    this.update(data);
    let width = document.documentElement.clientWidth;
    window.addEventListener("resize", () => {
      if (this.#printing || width === document.documentElement.clientWidth) return;
      width = document.documentElement.clientWidth;
      this.#soon();
    });
    window.addEventListener("beforeprint", () => this.#print(true));
    window.addEventListener("afterprint", () => this.#print(false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      if (storedTheme() === null) applyTheme(null);
      this.#draw();
    });
  }

  /** Shows another state of the same run. */
  update(data: ReportData): void {
    const sameDomains = data.domains.join("\n") === this.#data.domains.join("\n");
    if (!sameDomains) this.#chosen = undefined;
    this.#data = data;
    document.title = `${data.run.pipeline ?? "run"} – doremi`;
    const messages = messagesOf(data);
    const wasOpen = this.#top.querySelector("details")?.open;
    this.#top.replaceChildren(
      headOf(data),
      cardsOf(data),
      ...[progressOf(data)].filter((part) => part !== null),
      ...(messages
        ? [
            el(
              "details",
              (wasOpen ?? messages.querySelector(".warning") !== null) ? { open: "" } : {},
              el("summary", {}, messagesTitle(messages)),
              messages,
            ),
          ]
        : []),
    );
    // A table that is being sorted or read stays as it is while only the steps go on.
    const settled = settledParts(data);
    if (settled !== this.#settled) this.#fillTables();
    this.#settled = settled;
    this.#draw();
  }

  #build(): void {
    const section = (id: string, title: string, ...content: HTMLElement[]) => {
      const element = el("section", { id, "aria-label": title }, el("h2", {}, title), ...content);
      this.#sections.set(id, element);
      return element;
    };
    const part = (id: string) => {
      const element = el("div");
      this.#tableParts.set(id, element);
      return element;
    };
    const sections = [
      ...SECTIONS.map(({ id, title }) => section(id, title, this.#charts.sections.get(id)!, part(id))),
      section("domains", "Domains", part("domains")),
      section("run", "The run", part("run")),
    ];
    this.#root.replaceChildren(
      el("header", {}, this.#top, this.#nav),
      this.#controls(),
      el("main", {}, ...sections),
      el("footer", {}, el("p", {}, `Made by ${this.#data.madeBy}. Charts: Apache ECharts (Apache License 2.0).`)),
    );
  }

  #controls(): HTMLElement {
    const filter = el("input", {
      type: "search",
      placeholder: "name of a domain",
      "aria-label": "Filter domains by name",
    });
    filter.addEventListener("input", () => {
      this.#filter = filter.value.trim();
      for (const table of this.#tables) table.filter(this.#filter);
      this.#soon();
    });
    const rows = [...new Set([10, ROWS_SHOWN, 60, 100])].map((count) => [String(count), String(count)] as const);
    const theme = button("", () => {
      const next = currentTheme() === "dark" ? "light" : "dark";
      storeTheme(next);
      applyTheme(next);
      name();
      this.#draw();
    });
    const name = () => {
      theme.textContent = currentTheme() === "dark" ? "Light" : "Dark";
      theme.setAttribute("aria-label", `Switch to ${currentTheme() === "dark" ? "light" : "dark"} colours`);
    };
    name();
    const logarithmic = el("input", { type: "checkbox", id: "logarithmic" });
    logarithmic.addEventListener("change", () => {
      this.#logarithmic = logarithmic.checked;
      this.#draw();
    });
    return el(
      "div",
      { class: "bar", role: "search", "aria-label": "What is shown" },
      el(
        "div",
        {},
        el("label", {}, "Domains", filter),
        choice("Order", Object.entries(ORDERS), this.#order, (value) => {
          this.#order = value as keyof typeof ORDERS;
          this.#draw();
        }),
        choice("Rows", [...rows, ["0", "all"]], String(this.#rows), (value) => {
          this.#rows = Number(value);
          this.#draw();
        }),
        el("label", {}, logarithmic, "logarithmic shares"),
        button("Lines: first of these", () => {
          this.#chosen = new Set(this.#ordered().slice(0, LINES_SHOWN));
          this.#fillTables();
          this.#draw();
        }),
        theme,
      ),
    );
  }

  #fillTables(): void {
    const data = this.#data;
    const tables: ShownTable[] = [];
    const fill = (
      id: string,
      entries: readonly (readonly [title: string, table: ShownTable | null, open?: boolean])[],
      ...more: HTMLElement[]
    ) => {
      const part = this.#tableParts.get(id)!;
      const open = new Set([...part.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
      part.replaceChildren(
        ...entries.flatMap(([title, table, always]) => {
          if (!table) return [];
          tables.push(table);
          table.filter(this.#filter);
          if (always) {
            table.show();
            return [table.element];
          }
          const details = el("details", open.has(title) ? { open: "" } : {}, el("summary", {}, title), table.element);
          details.addEventListener("toggle", () => details.open && table.show());
          if (details.open) table.show();
          return [details];
        }),
        ...more,
      );
    };
    fill("learning", [["Smallest, largest and last values, exact", extremesTable(data)]]);
    fill("rounds", [["Weights of rounds and seeds", roundsTable(data)]]);
    fill("evaluation", [["Losses and differences with their intervals", evaluationTable(data)]], ...conclusions(data));
    fill("corpus", [["Document lengths", lengthTable(data)]]);
    fill("flow", [["Tokens by domain", flowTable(data)]]);
    const drawn = new Set(this.#lines());
    fill("domains", [
      ["Domains", data.domains.length === 0 ? null : domainTable(data, drawn, (k, on) => this.#choose(k, on)), true],
    ]);
    fill(
      "run",
      [
        ["Stages", stageTable(data), true],
        ["Fingerprints and hashes", hashTable(data)],
      ],
      ...runFacts(data),
    );
    this.#tables = tables;
  }

  #choose(k: number, on: boolean): void {
    const chosen = new Set(this.#lines());
    if (on) chosen.add(k);
    else chosen.delete(k);
    this.#chosen = chosen;
    this.#soon();
  }

  /** Domains that the filter leaves, in the order that was asked for. */
  #ordered(): number[] {
    const { domains, weights, counts } = this.#data;
    const size = bySize(this.#data);
    const by = (value: (k: number) => number) => [...size].sort((a, b) => value(b) - value(a));
    const orders: Record<keyof typeof ORDERS, () => number[]> = {
      size: () => size,
      file: () => domains.map((_, k) => k),
      name: () => [...size].sort((a, b) => domains[a]!.localeCompare(domains[b]!, "en")),
      gain: () => by((k) => (weights?.learned?.[k] ?? 0) / Math.max(Number.MIN_VALUE, weights?.baseline[k] ?? 1)),
      tokens: () => by((k) => counts?.tokenizers[0]?.tokens[k] ?? 0),
    };
    const wanted = this.#filter.toLowerCase();
    return orders[this.#order]().filter((k) => domains[k]!.toLowerCase().includes(wanted));
  }

  #lines(): number[] {
    const lines = this.#chosen ? [...this.#chosen] : this.#ordered().slice(0, LINES_SHOWN);
    return lines.slice(0, LINES_LIMIT);
  }

  #view(): Omit<ChartView, "width"> {
    const ordered = this.#ordered();
    const shown = this.#rows === 0 ? ordered.length : this.#rows;
    return {
      theme: this.#printing || currentTheme() === "light" ? LIGHT : DARK,
      rows: ordered.slice(0, shown),
      others: ordered.slice(shown),
      lines: this.#lines(),
      logarithmic: this.#logarithmic,
    };
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#draw(), REDRAW_MS);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    const view = this.#view();
    const links: HTMLElement[] = [];
    for (const [id, section] of this.#sections) {
      const isChart = this.#charts.sections.has(id);
      section.hidden = isChart
        ? !this.#charts.has(id, this.#data, view)
        : this.#tableParts.get(id)!.childElementCount === 0;
      if (!section.hidden) links.push(el("a", { href: `#${id}` }, section.querySelector("h2")!.textContent ?? id));
    }
    this.#nav.replaceChildren(...links);
    this.#charts.draw(this.#data, view, this.#printing ? PRINT_WIDTH : undefined);
  }

  /** In print charts have the width of the paper and are light. */
  #print(on: boolean): void {
    this.#printing = on;
    applyTheme(on ? "light" : storedTheme());
    this.#draw();
  }
}

/** What changes when a stage is done. */
function settledParts({
  domains,
  counts,
  lengths,
  weights,
  rounds,
  evaluation,
  flow,
  stages,
  hashes,
  trainings,
}: ReportData): string {
  const states = stages.map(({ stage, state, key }) => [stage, state, key]);
  const finished = trainings.map(({ stage, finished: isFinished }) => [stage, isFinished]);
  return JSON.stringify([domains, counts, lengths, weights?.set, rounds, evaluation, flow, states, hashes, finished]);
}

function conclusions({ evaluation }: ReportData): HTMLElement[] {
  if (!evaluation || evaluation.comparisons.length === 0) return [];
  return [el("ul", {}, ...evaluation.comparisons.map(({ conclusion }) => el("li", {}, conclusion)))];
}

function runFacts({ run, settings }: ReportData): HTMLElement[] {
  const facts = [
    ["command", run.command.join(" ")],
    ["folder", run.folder],
    ["version", run.doremi ?? ""],
    ["Node", run.node ?? ""],
    ["host", run.host ?? ""],
  ].filter(([, value]) => value !== "");
  return [
    el("h3", {}, "Where and with what"),
    el("ul", {}, ...facts.map(([name, value]) => el("li", {}, `${name}: `, el("code", {}, value!)))),
    ...(settings === null
      ? []
      : [
          el(
            "details",
            {},
            el("summary", {}, "Settings"),
            el("pre", { tabindex: "0", role: "region", "aria-label": "Settings" }, settings),
          ),
        ]),
  ];
}

type ThemeName = "light" | "dark";

function storedTheme(): ThemeName | null {
  try {
    const stored = localStorage.getItem(THEME_KEY);
    return stored === "light" || stored === "dark" ? stored : null;
  } catch {
    return null; // storage may be forbidden
  }
}

function storeTheme(theme: ThemeName): void {
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // The choice holds until the page is closed.
  }
}

function applyTheme(theme: ThemeName | null): void {
  document.documentElement.dataset.theme =
    theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function currentTheme(): ThemeName {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

function start(): void {
  const canvas = document.createElement("canvas").getContext("2d");
  if (canvas) {
    measureTextBy((text, size) => {
      canvas.font = `${size}px ${FAMILY}`;
      return canvas.measureText(text).width;
    });
  }
  const root = document.getElementById("page")!;
  const page = new Page(root, JSON.parse(document.getElementById("data")!.textContent ?? "") as ReportData);
  if (root.dataset.live === "true") {
    const events = new EventSource("events");
    events.addEventListener("data", (event) =>
      page.update(JSON.parse((event as MessageEvent<string>).data) as ReportData),
    );
  }
}

// Without a page this program is the library that draws its charts for files: see scripts/build-report.mjs.
if ("document" in globalThis) start();
else Object.assign(globalThis, { [Symbol.for("doremi.report.charts")]: { openChart, renderChart } });
