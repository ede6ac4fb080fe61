/** The charts on the page: drawn to the width that they have, again when it or what is looked at changes. */
import { SECTIONS } from "../../charts/all.ts";
import type { Chart, ChartView } from "../../charts/contract.ts";
import { type LiveChart, openChart } from "../../charts/echarts.ts";
import type { ReportData } from "../../data/contract.ts";
import { el } from "./dom.ts";

/** A4 less its margins, at 96 px an inch. */
export const PRINT_WIDTH = 680;

interface Placed {
  readonly chart: Chart;
  readonly figure: HTMLElement;
  readonly caption: HTMLElement;
  readonly plot: HTMLElement;
  live: LiveChart | undefined;
}

export class ChartSet {
  /** by the id of its section */
  readonly sections: ReadonlyMap<string, HTMLElement>;
  readonly #placed: Placed[] = [];

  constructor() {
    const sections = new Map<string, HTMLElement>();
    for (const { id, charts } of SECTIONS) {
      const grid = el("div", { class: "charts" });
      for (const chart of charts) {
        const plot = el("div", { class: "chart", id: `chart-${chart.id}`, role: "img" });
        const caption = el("figcaption");
        const figure = el("figure", {}, el("h3", {}, chart.title), caption, plot);
        grid.append(figure);
        this.#placed.push({ chart, figure, caption, plot, live: undefined });
      }
      sections.set(id, grid);
    }
    this.sections = sections;
  }

  /** @param width in place of what each has, for print */
  draw(data: ReportData, view: Omit<ChartView, "width">, width?: number): void {
    for (const placed of this.#placed) {
      const { chart, figure, caption, plot } = placed;
      figure.hidden = false;
      const own = width ?? Math.max(280, Math.floor(plot.clientWidth));
      const drawn = chart.draw(data, { ...view, width: own });
      figure.hidden = drawn === null;
      if (!drawn) continue;
      caption.textContent = [chart.caption(data), drawn.note].filter(Boolean).join(" ");
      plot.setAttribute("aria-label", drawn.description);
      plot.style.height = `${drawn.height}px`;
      if (placed.live) placed.live.resize({ width: own, height: drawn.height });
      else placed.live = openChart(plot, own, drawn.height);
      placed.live.setOption(drawn.option, { notMerge: true });
    }
  }

  /** Whether a section has anything to show. */
  has(id: string, data: ReportData, view: Omit<ChartView, "width">): boolean {
    const section = SECTIONS.find((entry) => entry.id === id);
    return section?.charts.some((chart) => chart.draw(data, { ...view, width: 600 }) !== null) ?? false;
  }
}
