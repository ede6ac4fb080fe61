/** Writes a report: a page that needs nothing but itself, and its charts as SVG files. */
import { stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError, explainSystemError } from "../lib/errors.ts";
import { readReportData } from "./data/read.ts";
import { readProgram } from "./page/program.ts";
import { buildPage } from "./page/template.ts";
import { renderSvgCharts } from "./svg.ts";

export interface ReportOptions {
  /** the page; default: report.html in the run's folder */
  readonly output?: string;
  /** folder of the charts; default: beside the page, named after it: report-charts */
  readonly svg?: string;
}

export interface WrittenReport {
  /** absolute paths */
  readonly html: string;
  readonly bytes: number;
  readonly svg: readonly string[];
  /** what is in the folder and could not be shown */
  readonly problems: readonly string[];
}

/**
 * @param folder of a run: its output
 * @throws DoremiError missing-folder, no-run, output-is-folder, not-built; what the system says of a place that can't be written
 */
export async function writeReport(folder: string, { output, svg }: ReportOptions = {}): Promise<WrittenReport> {
  const data = await readReportData(folder);
  const html = resolve(output ?? join(folder, "report.html"));
  if ((await stat(html).catch(() => undefined))?.isDirectory()) {
    throw new DoremiError(
      "usage",
      "output-is-folder",
      `${html}: the report is a file, and this is a folder; name a file in it, such as ${join(html, "report.html")}`,
      { file: html },
    );
  }
  const charts = resolve(svg ?? join(dirname(html), `${basename(html, extname(html))}-charts`));
  const page = Buffer.from(buildPage({ program: await readProgram(), data }));
  try {
    const written: string[] = [];
    for (const { id, svg: text } of renderSvgCharts(data)) {
      const path = join(charts, `${id}.svg`);
      await writeFileAtomic(path, text);
      written.push(path);
    }
    await writeFileAtomic(html, page);
    return { html, bytes: page.length, svg: written, problems: data.problems };
  } catch (error) {
    throw explainSystemError(error, html);
  }
}
