/** What a chart is: a pure function from the report's data and what of it is looked at. */
import type { ReportData } from "../data/contract.ts";
import type { Theme } from "./theme.ts";

/** As ECharts takes it. */
export type ChartOption = Readonly<Record<string, unknown>>;

export interface ChartView {
  /** px */
  readonly width: number;
  readonly theme: Theme;
  /** domains in rows, in order, as indices */
  readonly rows: readonly number[];
  /** domains that the filter leaves and that have no row */
  readonly others: readonly number[];
  /** domains drawn as lines, in order */
  readonly lines: readonly number[];
  /** logarithmic shares */
  readonly logarithmic: boolean;
}

export interface DrawnChart {
  readonly option: ChartOption;
  /** px */
  readonly height: number;
  /** a sentence for those who do not see it */
  readonly description: string;
  /** what of the data is not in the picture */
  readonly note?: string;
}

export interface Chart {
  /** of its file and its element */
  readonly id: string;
  readonly title: string;
  /** what is to be seen, and how it is to be read */
  readonly caption: (data: ReportData) => string;
  /** null where the run has nothing of it */
  draw(data: ReportData, view: ChartView): DrawnChart | null;
}
