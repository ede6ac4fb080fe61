/** How long the documents of each domain are. */
import type { Chart } from "./contract.ts";
import { drawLines } from "./lines.ts";
import { axisStyle, FAMILY, nameWidth, rowAxis, tooltipStyle } from "./rows.ts";
import { axisPercent, axisShort, integer, percent, short } from "./text.ts";
import { domainPlace, lineStyle } from "./theme.ts";

const ROW = 24;
const AXIS = 50;
const TOP = 8;

export const lengths: Chart = {
  id: "lengths",
  title: "Document lengths",
  caption: ({ lengths: found }) =>
    `Tokens of a document (${found?.tokenizer}): the box holds the middle half, its line is the median, the whiskers reach from the 5th to the 95th percentile.${found && found.shards.read < found.shards.all ? ` Of ${integer(found.shards.read)} of ${integer(found.shards.all)} shards.` : ""}`,
  draw({ domains, lengths: found }, view) {
    if (!found) return null;
    const { theme, width } = view;
    const rows = view.rows.filter((k) => found.domains[k]);
    if (rows.length === 0) return null;
    const names = rows.map((k) => domains[k]!);
    const left = nameWidth(names, width);
    const least = (value: number) => Math.max(1, value);
    const option = {
      animation: false,
      backgroundColor: theme.background,
      textStyle: { fontFamily: FAMILY },
      grid: { left: left + 12, right: 28, top: TOP, bottom: AXIS, outerBoundsMode: "none" },
      xAxis: {
        type: "log",
        name: "tokens of a document",
        nameLocation: "middle",
        nameGap: 28,
        ...axisStyle(theme),
        axisLabel: { ...axisStyle(theme).axisLabel, formatter: axisShort },
      },
      yAxis: rowAxis(names, left, theme),
      tooltip: {
        trigger: "item",
        ...tooltipStyle(theme),
        formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
          const q = found.domains[rows[dataIndex]!]!;
          return [
            names[dataIndex],
            `${integer(q.documents)} documents, mean ${integer(q.mean)} tokens`,
            `shortest ${integer(q.min)}, 5% ${integer(q.p5)}, 25% ${integer(q.p25)}`,
            `median ${integer(q.p50)}`,
            `75% ${integer(q.p75)}, 95% ${integer(q.p95)}, longest ${integer(q.max)}`,
          ].join("\n");
        },
      },
      series: [
        {
          type: "boxplot",
          boxWidth: [6, 12],
          itemStyle: { color: theme.grid, borderColor: theme.colors[0], borderWidth: 1.75 },
          data: rows.map((k) => {
            const { p5, p25, p50, p75, p95 } = found.domains[k]!;
            return [p5, p25, p50, p75, p95].map(least);
          }),
        },
      ],
    };
    return {
      option,
      height: TOP + rows.length * ROW + AXIS,
      description: `Box plot of the lengths of the documents of ${rows.length} domains, in tokens.`,
    };
  },
};

export const histogram: Chart = {
  id: "length-histogram",
  title: "Document lengths, as shares",
  caption: () => "Share of a domain's documents in each doubling of the length, from the point's length on.",
  draw({ domains, lengths: found }, view) {
    const drawn = found ? view.lines.filter((k) => found.domains[k]) : [];
    if (!found || drawn.length === 0) return null;
    const filled = (bin: number) => drawn.some((k) => found.histogram[k]![bin]! > 0);
    const bins = found.histogram[0]!.map((_, bin) => bin);
    const [first, last] = [bins.findIndex(filled), bins.findLastIndex(filled)];
    const lines = drawn.map((k, i) => ({
      name: domains[k]!,
      style: lineStyle(view.theme, domainPlace(view.theme, domains.length, k, i)),
      points: bins
        .slice(first, last + 1)
        .map((bin) => [2 ** bin, found.histogram[k]![bin]! / found.domains[k]!.documents] as const),
    }));
    return drawLines(
      view,
      {
        ...{
          lines,
          xName: "tokens of a document",
          yName: "share of the documents",
          fromZero: true,
          logarithmicX: true,
        },
        ...{
          format: percent,
          axisFormat: axisPercent,
          axisFormatX: integer,
          formatX: (x) => `${short(x)} to ${short(2 * x - 1)} tokens`,
        },
      },
      `Line chart of the distribution of document lengths of ${lines.length} domains.`,
    );
  },
};
