/**
 * Charts with a domain in each row: dots of several measures, each with a shape of its own, on a line from the smallest to
 * the largest; with intervals where a measure has them.
 */
import type { ChartView, DrawnChart } from "./contract.ts";
import { fitText, textWidth } from "./text.ts";
import { MARKERS, type Theme } from "./theme.ts";

const ROW = 24;
const FONT = 12;
const LEGEND_ROW = 24;
const LEGEND_GAP = 14;
const LEGEND_MARK = 20;
const AXIS = 50;
const RIGHT = 24;
const NAME_LIMIT = 190;

export interface Measure {
  readonly name: string;
  /** a number per row; NaN where there is none */
  readonly values: readonly number[];
  readonly low?: readonly number[];
  readonly high?: readonly number[];
}

export interface RowsOptions {
  readonly names: readonly string[];
  readonly measures: readonly Measure[];
  readonly axis: string;
  readonly format: (value: number) => string;
  readonly axisFormat: (value: number) => string;
  readonly logarithmic?: boolean;
  /** measures stand a little below each other in their row, so that equal ones can be told apart; always those with intervals */
  readonly dodge?: boolean;
  /** a vertical line there */
  readonly zero?: number;
  /** lines of text about a row, below its measures */
  readonly notes?: (row: number) => readonly string[];
}

/** px on the left of the plot */
export function nameWidth(names: readonly string[], width: number): number {
  const limit = Math.min(NAME_LIMIT, width * 0.34);
  return Math.ceil(Math.min(limit, Math.max(40, ...names.map((name) => textWidth(name, FONT)))));
}

/** Rows that a legend takes when its entries are set like words. */
/** A browser may draw a name wider than it measured it. */
export const SLACK = 1.15;

export function legendHeight(names: readonly string[], width: number): number {
  let [rows, at] = [1, 0];
  for (const name of names) {
    const own = LEGEND_MARK + SLACK * textWidth(name, FONT) + LEGEND_GAP;
    if (at > 0 && at + own > width) [rows, at] = [rows + 1, 0];
    at += own;
  }
  return rows * LEGEND_ROW + 6;
}

export function legendOption(
  names: readonly { readonly name: string; readonly icon?: string }[],
  theme: Theme,
  width: number,
) {
  return {
    data: names,
    left: 0,
    top: 0,
    width: width / SLACK,
    itemWidth: 12,
    itemHeight: 12,
    itemGap: LEGEND_GAP,
    padding: [2, 4],
    textStyle: { color: theme.text, fontSize: FONT, lineHeight: LEGEND_ROW - LEGEND_GAP },
    inactiveColor: theme.muted,
    selectedMode: false,
  };
}

/** Names in rows, the first on top, each in `width` px. */
export function rowAxis(names: readonly string[], width: number, theme: Theme) {
  return {
    type: "category",
    inverse: true,
    data: names.map((_, row) => row),
    ...axisStyle(theme),
    axisTick: { show: false },
    axisLabel: {
      color: theme.text,
      fontSize: FONT,
      interval: 0,
      formatter: (_: string, row: number) => fitText(names[row] ?? "", width, FONT),
    },
    splitLine: { show: true, lineStyle: { color: theme.grid } },
  };
}

export function axisStyle(theme: Theme) {
  return {
    axisLine: { lineStyle: { color: theme.muted } },
    axisTick: { lineStyle: { color: theme.muted } },
    axisLabel: { color: theme.text, fontSize: FONT, hideOverlap: true },
    splitLine: { lineStyle: { color: theme.grid } },
    nameTextStyle: { color: theme.muted, fontSize: FONT },
  };
}

export function tooltipStyle(theme: Theme) {
  return {
    renderMode: "richText",
    confine: true,
    backgroundColor: theme.background,
    borderColor: theme.muted,
    borderWidth: 1,
    padding: 8,
    textStyle: { color: theme.text, fontSize: FONT },
  };
}

interface RenderParams {
  readonly dataIndex: number;
}
interface RenderApi {
  value(dimension: number): number;
  coord(point: readonly number[]): [number, number];
}

export function drawRows(view: ChartView, options: RowsOptions, description: string, note?: string): DrawnChart {
  const { theme, width } = view;
  const { names, measures, format, axisFormat, axis, zero, notes, logarithmic = false } = options;
  const dodges = options.dodge === true || measures.some(({ low }) => low);
  const offsetOf = (i: number) =>
    dodges && measures.length > 1 ? (i - (measures.length - 1) / 2) * Math.min(7, 16 / measures.length) : 0;
  const left = nameWidth(names, width);
  const top = legendHeight(
    measures.map(({ name }) => name),
    width,
  );
  const present = (value: number | undefined): value is number =>
    value !== undefined && Number.isFinite(value) && (!logarithmic || value > 0);
  const shown = (value: number | undefined) => (present(value) ? value : "-");
  const spans = names.map((_, row) => {
    const values = measures.map(({ values }) => values[row]).filter(present);
    return values.length > 1 ? [Math.min(...values), Math.max(...values)] : undefined;
  });
  const intervals = measures.flatMap(({ low, high }, i) =>
    low && high
      ? [
          {
            type: "custom",
            name: `interval ${i}`,
            silent: true,
            z: 2,
            encode: { x: [1, 2], y: 0 },
            data: names.flatMap((_, row) =>
              present(low[row]) && present(high[row]) ? [[row, low[row], high[row]]] : [],
            ),
            renderItem: (_: RenderParams, api: RenderApi) => whisker(api, colorOf(theme, i), offsetOf(i)),
          },
        ]
      : [],
  );
  const option = {
    animation: false,
    backgroundColor: theme.background,
    textStyle: { fontFamily: FAMILY },
    legend: legendOption(
      measures.map(({ name }, i) => ({ name, icon: iconOf(i) })),
      theme,
      width,
    ),
    grid: { left: left + 12, right: RIGHT, top: top + 4, bottom: AXIS, outerBoundsMode: "none" },
    xAxis: {
      type: logarithmic ? "log" : "value",
      name: axis,
      nameLocation: "middle",
      nameGap: 28,
      scale: zero === undefined && !logarithmic ? measures.some(({ low }) => low) : false,
      ...axisStyle(theme),
      axisLabel: { ...axisStyle(theme).axisLabel, formatter: axisFormat },
      splitNumber: width < 500 ? 3 : 5,
    },
    yAxis: rowAxis(names, left, theme),
    tooltip: {
      trigger: "axis",
      axisPointer: {
        type: "shadow",
        axis: "y",
        label: { show: false },
        shadowStyle: { color: theme.muted, opacity: 0.14 },
      },
      ...tooltipStyle(theme),
      formatter: (found: readonly RenderParams[] | RenderParams) => {
        const row = axisRow(found);
        if (row === undefined) return "";
        const lines = measures.flatMap(({ name, values, low, high }) => {
          if (!Number.isFinite(values[row])) return [];
          const interval =
            low && high && Number.isFinite(low[row]) ? ` (${format(low[row]!)} to ${format(high[row]!)})` : "";
          return [`${name}: ${format(values[row]!)}${interval}`];
        });
        return [names[row], ...lines, ...(notes?.(row) ?? [])].join("\n");
      },
    },
    series: [
      {
        type: "custom",
        name: "span",
        silent: true,
        z: 1,
        encode: { x: [1, 2], y: 0 },
        data: spans.flatMap((span, row) => (span && intervals.length === 0 ? [[row, span[0], span[1]]] : [])),
        renderItem: (_: RenderParams, api: RenderApi) => bar(api, theme.muted),
      },
      ...intervals,
      ...measures.map(({ name, values }, i) => ({
        type: "scatter",
        name,
        symbol: iconOf(i),
        symbolSize: 10,
        z: 3,
        symbolOffset: [0, offsetOf(i)],
        itemStyle: { color: colorOf(theme, i), borderColor: theme.background, borderWidth: 0.75, opacity: 0.95 },
        data: names.map((_, row) => [shown(values[row]), row]),
        ...(i === 0 &&
          zero !== undefined && {
            markLine: {
              silent: true,
              symbol: "none",
              label: { show: false },
              lineStyle: { color: theme.text, type: "solid", width: 1 },
              data: [{ xAxis: zero }],
            },
          }),
      })),
    ],
  };
  return { option, height: top + 4 + names.length * ROW + AXIS, description, ...(note !== undefined && { note }) };
}

export const FAMILY = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif";

export function colorOf(theme: Theme, i: number): string {
  return theme.colors[i % theme.colors.length]!;
}

function iconOf(i: number): string {
  return MARKERS[i % 4]!;
}

/** The row that the pointer is in. */
function axisRow(found: readonly RenderParams[] | RenderParams): number | undefined {
  const first = (Array.isArray(found) ? found[0] : found) as
    | (RenderParams & { readonly axisValue?: unknown })
    | undefined;
  const row = Number(first?.axisValue ?? first?.dataIndex);
  return Number.isInteger(row) ? row : undefined;
}

function bar(api: RenderApi, color: string) {
  const [from, y] = api.coord([api.value(1), api.value(0)]);
  const [to] = api.coord([api.value(2), api.value(0)]);
  return {
    type: "line",
    shape: { x1: from, y1: y, x2: to, y2: y },
    style: { stroke: color, lineWidth: 2, opacity: 0.55 },
  };
}

function whisker(api: RenderApi, color: string, offset: number) {
  const [from, middle] = api.coord([api.value(1), api.value(0)]);
  const [to] = api.coord([api.value(2), api.value(0)]);
  const y = middle + offset;
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, lineWidth: 1.5 },
  });
  return {
    type: "group",
    children: [line(from, y, to, y), line(from, y - 3, from, y + 3), line(to, y - 3, to, y + 3)],
  };
}
