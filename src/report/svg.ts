/** The charts of a report as SVG files, for papers and slides: those of the page, in light colours. */
import { defaultView, SECTIONS } from "./charts/all.ts";
import { renderChart } from "./charts/echarts.ts";
import { LIGHT } from "./charts/theme.ts";
import type { ReportData } from "./data/contract.ts";

/** px; at 72 a page's width in landscape */
const WIDTH = 960;

export interface SvgChart {
  /** the file's name, without its end */
  readonly id: string;
  readonly svg: string;
}

/** Those that the run has something for. */
export function renderSvgCharts(data: ReportData): SvgChart[] {
  const view = defaultView(data, LIGHT, WIDTH);
  return SECTIONS.flatMap(({ charts }) =>
    charts.flatMap((chart) => {
      const drawn = chart.draw(data, view);
      if (!drawn) return [];
      const svg = renderChart(drawn.option, WIDTH, drawn.height);
      return [{ id: chart.id, svg: describe(svg, chart.title, drawn.description) }];
    }),
  );
}

/** A title and a description, which readers of the file say in its place. */
function describe(svg: string, title: string, description: string): string {
  const head = svg.slice(0, svg.indexOf(">") + 1);
  const named = head.replace("<svg ", '<svg role="img" ');
  return `${named}<title>${escapeText(title)}</title><desc>${escapeText(description)}</desc>${svg.slice(head.length)}\n`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
