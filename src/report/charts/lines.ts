/** Charts over steps: lines with their names at their ends, dashes and markers. */
import type { ChartView, DrawnChart } from "./contract.ts";
import { axisStyle, FAMILY, legendHeight, legendOption, SLACK, tooltipStyle } from "./rows.ts";
import { axisShort, fitText, integer, textWidth } from "./text.ts";
import type { LineStyle } from "./theme.ts";

const HEIGHT = 340;
/** px below the lines, for the axis and its name */
const BOTTOM = 48;
const FONT = 12;
/** Lines whose ends can be told apart in a chart's height; with more a legend names them. */
const NAMED_AT_END = 14;
const MARKERS_PER_LINE = 7;

export interface Line {
  readonly name: string;
  /** [x, y]; y is NaN where there is a gap */
  readonly points: readonly (readonly [number, number])[];
  readonly style: LineStyle;
  readonly width?: number;
  readonly faint?: boolean;
  /** dots and no line between, as few looks at something are */
  readonly dots?: boolean;
}

export interface LinesOptions {
  readonly lines: readonly Line[];
  readonly xName: string;
  readonly yName: string;
  readonly format: (value: number) => string;
  readonly axisFormat: (value: number) => string;
  /** 0 belongs into the picture */
  readonly fromZero?: boolean;
  readonly logarithmicX?: boolean;
  /** of a point, in words */
  readonly formatX?: (value: number) => string;
  readonly axisFormatX?: (value: number) => string;
}

export function drawLines({ theme, width }: ChartView, options: LinesOptions, description: string): DrawnChart {
  const { lines, xName, yName, format, axisFormat, fromZero = false, logarithmicX = false } = options;
  const formatX = options.formatX ?? ((x: number) => `step ${integer(x)}`);
  const named = lines.filter(({ faint }) => !faint);
  const atEnd = named.length <= NAMED_AT_END && width >= 520;
  const room = atEnd
    ? Math.min(170, width * 0.25, SLACK * Math.max(...named.map(({ name }) => textWidth(name, FONT))) + 6)
    : 12;
  const legend = atEnd
    ? 0
    : legendHeight(
        named.map(({ name }) => fitText(name, width - 60, FONT)),
        width,
      );
  const top = 26 + legend;
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  const option = {
    animation: false,
    backgroundColor: theme.background,
    textStyle: { fontFamily: FAMILY },
    ...(!atEnd && {
      legend: {
        ...legendOption(
          named.map(({ name }) => ({ name })),
          theme,
          width,
        ),
        formatter: (name: string) => fitText(name, width - 60, FONT),
      },
    }),
    grid: { left: 58, right: room + 18, top, bottom: BOTTOM, outerBoundsMode: "none" },
    xAxis: {
      type: logarithmicX ? "log" : "value",
      ...(logarithmicX && { logBase: 2 }),
      name: xName,
      nameLocation: "middle",
      nameGap: 28,
      min: logarithmicX ? "dataMin" : 0,
      max: "dataMax",
      ...axisStyle(theme),
      axisLabel: {
        ...axisStyle(theme).axisLabel,
        formatter: options.axisFormatX ?? axisShort,
        showMaxLabel: true,
        alignMaxLabel: "right",
      },
      splitLine: { show: false },
      splitNumber: width < 500 ? 4 : 8,
    },
    yAxis: {
      type: "value",
      name: yName,
      nameLocation: "end",
      nameGap: 10,
      scale: !fromZero,
      ...axisStyle(theme),
      nameTextStyle: { color: theme.muted, fontSize: FONT, align: "left", padding: [0, 0, 0, -50] },
      axisLabel: { ...axisStyle(theme).axisLabel, formatter: axisFormat },
    },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "line", label: { show: false }, lineStyle: { color: theme.muted } },
      ...tooltipStyle(theme),
      formatter: (found: readonly { readonly seriesIndex: number; readonly value: readonly (number | null)[] }[]) => {
        const rows = found
          .filter(({ value }) => value[1] !== null && value[1] !== undefined)
          .map(({ seriesIndex, value }) => ({ name: lines[seriesIndex]?.name ?? "", x: value[0]!, y: value[1]! }))
          .sort((a, b) => b.y - a.y);
        if (rows.length === 0) return "";
        return [formatX(rows[0]!.x), ...rows.slice(0, 24).map(({ name, y }) => `${name}: ${format(y)}`)].join("\n");
      },
    },
    series: lines
      .map(({ name, points, style, width: lineWidth = 2, faint = false, dots = false }) => {
        const every = Math.max(1, Math.ceil(points.length / MARKERS_PER_LINE));
        return {
          type: "line",
          name,
          data: points.map(([x, y], i) => ({
            value: [x, finite(y)],
            // A marker here and there: one at every point would hide the line, and multiply the page's elements.
            ...(!dots && points.length > MARKERS_PER_LINE && (i + 1) % every !== 0 && { symbol: "none" }),
          })),
          connectNulls: true,
          showSymbol: !faint,
          showAllSymbol: true,
          symbol: style.marker,
          symbolSize: 7,
          lineStyle: { color: style.color, width: dots ? 1 : lineWidth, type: style.dash, opacity: faint ? 0.4 : 1 },
          itemStyle: { color: style.color },
          emphasis: { disabled: true },
        };
      })
      .concat(atEnd ? [endNames(named, room, top, HEIGHT + legend - BOTTOM) as never] : []),
  };
  return { option, height: HEIGHT + legend, description };
}

interface RenderApi {
  coord(point: readonly number[]): [number, number];
}

/** px between two names below each other */
const NAME_STEP = 14;

/** The lines' names beside their ends, moved apart where ends lie close, with a leader to those that were moved. */
function endNames(lines: readonly Line[], room: number, top: number, bottom: number) {
  const ends = lines.flatMap(({ name, points, style }) => {
    const end = points.findLast(([, y]) => Number.isFinite(y));
    return end ? [{ name, style, end }] : [];
  });
  return {
    type: "custom",
    name: "names",
    silent: true,
    clip: false,
    tooltip: { show: false },
    data: ends.length > 0 ? [ends[0]!.end] : [],
    renderItem(_: unknown, api: RenderApi) {
      const placed = ends
        .map(({ name, style, end }) => ({ name, style, at: api.coord(end) }))
        .sort((a, b) => a.at[1] - b.at[1]);
      const ys = apart(
        placed.map(({ at }) => at[1]),
        top,
        bottom,
      );
      const left = Math.max(...placed.map(({ at }) => at[0]));
      return {
        type: "group",
        children: placed.flatMap(({ name, style, at }, i) => [
          {
            type: "line",
            shape: { x1: at[0] + 4, y1: at[1], x2: left + 12, y2: ys[i]! },
            style: { stroke: style.color, lineWidth: 0.75, opacity: 0.7 },
          },
          {
            type: "text",
            x: left + 15,
            y: ys[i]!,
            style: {
              text: fitText(name, room, FONT),
              fill: style.color,
              fontSize: FONT,
              fontFamily: FAMILY,
              verticalAlign: "middle",
            },
          },
        ]),
      };
    },
  };
}

/** The same places in the same order, a step apart at least and between the bounds. @param places ascending */
export function apart(places: readonly number[], low: number, high: number): number[] {
  const moved = [...places];
  for (let i = 0; i < moved.length; i++) moved[i] = Math.max(moved[i]!, i === 0 ? low : moved[i - 1]! + NAME_STEP);
  for (let i = moved.length - 1; i >= 0; i--) {
    moved[i] = Math.min(moved[i]!, i === moved.length - 1 ? high : moved[i + 1]! - NAME_STEP);
  }
  return moved;
}
