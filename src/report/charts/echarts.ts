/**
 * The parts of Apache ECharts that the charts need, and nothing of it elsewhere. Why ECharts: one description of a chart
 * gives the same SVG in a browser and on a server without a document (Observable Plot needs jsdom there), it has a Sankey
 * diagram (neither Plot nor Vega-Lite has; Vega needs its layout written out), it makes no code from strings, which the
 * page's content security policy forbids (Vega compiles its expressions), and taken apart it is about 600 kB in a page.
 * Alive since 2013, at the Apache foundation, which also gives it its licence.
 *
 * The build puts the library into the page's program, which stands for this module in dist/ too, so that installing doremi
 * installs none.
 */
import { BoxplotChart, CustomChart, LineChart, SankeyChart, ScatterChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init, setPlatformAPI, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";
import type { ChartOption } from "./contract.ts";
import { textWidth } from "./text.ts";

use([
  ...[BoxplotChart, CustomChart, LineChart, SankeyChart, ScatterChart],
  ...[GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, LabelLayout, SVGRenderer],
]);

// Without a canvas to measure on, ECharts guesses narrower than fonts are, and labels would touch.
if (!("document" in globalThis)) {
  setPlatformAPI({
    measureText(text: string, font?: string) {
      const size = Number(/(\d+(?:\.\d+)?)px/.exec(font ?? "")?.[1] ?? 12);
      return { width: textWidth(text, size) };
    },
  });
}

/** A chart in an element of a page. */
export interface LiveChart {
  setOption(option: ChartOption, options?: { readonly notMerge?: boolean }): void;
  resize(size: { readonly width: number; readonly height: number }): void;
  dispose(): void;
}

/** @param element an HTMLElement, in a browser */
export function openChart(element: unknown, width: number, height: number): LiveChart {
  return init(element as never, null, { renderer: "svg", width, height }) as unknown as LiveChart;
}

/** The same chart as an SVG document, anywhere. */
export function renderChart(option: ChartOption, width: number, height: number): string {
  const chart = init(null as never, null, { renderer: "svg", ssr: true, width, height });
  try {
    chart.setOption(option as never);
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
