/** Where the tokens went: from the shards by their domains to what became of them, and into the training set. */
import type { ReportData, ReportFlow } from "../data/contract.ts";
import type { Chart, ChartView } from "./contract.ts";
import { FAMILY, SLACK, tooltipStyle } from "./rows.ts";
import { fitText, integer, short, textWidth } from "./text.ts";
import { domainPlace } from "./theme.ts";

/** px between two nodes, so that the labels of thin ones stand clear of each other */
const GAP = 16;
/** px that the thickest column is high, gaps not counted */
const THICK = 240;
const NODE_WIDTH = 12; // px
const NARROW = 640;
/** Domains with a node of their own; the rest share one. */
const DOMAINS_LIMIT = 24;
const FATES = [
  { id: "used", name: "used" },
  { id: "repeated", name: "read again" },
  { id: "heldOut", name: "held out" },
  { id: "unused", name: "not used" },
] as const;

interface Node {
  readonly name: string;
  readonly depth: number;
  readonly label: string;
  readonly color: string;
  readonly hint: string;
}

export const flow: Chart = {
  id: "flow",
  title: "Flow of tokens",
  caption: ({ flow: found, weights }) => {
    const again = found ? sum(found.repeated) : 0;
    return `What became of the tokens of the shards${found && found.files.length === 0 ? ", put together by domain" : ""}. The set holds ${integer(weights?.set?.achievedTokens ?? 0)} tokens${again > 0 ? `, ${integer(again)} of them read again, which come on top of what there is` : ""}.`;
  },
  draw(data, view) {
    if (!data.flow) return null;
    const { nodes, links, tallest } = layout(data, data.flow, view);
    const { theme, width } = view;
    const columns = 1 + Math.max(...nodes.map(({ depth }) => depth));
    const lastWidth = Math.max(...nodes.map(({ depth, label }) => (depth === columns - 1 ? textWidth(label) : 0)));
    const room = SLACK * lastWidth + 14;
    const between = (width - room) / (columns - 1); // px from a column to the next
    const labelOf = ({ depth, label }: Node) =>
      depth === columns - 1 ? label : fitText(label, between - NODE_WIDTH - 12);
    const option = {
      animation: false,
      backgroundColor: theme.background,
      textStyle: { fontFamily: FAMILY },
      tooltip: {
        trigger: "item",
        ...tooltipStyle(theme),
        formatter: (found: { readonly dataType: string; readonly data: { readonly hint: string } }) => found.data.hint,
      },
      series: [
        {
          type: "sankey",
          left: 4,
          right: room,
          top: 8,
          bottom: 8,
          nodeWidth: NODE_WIDTH,
          nodeGap: GAP,
          nodeAlign: "left",
          draggable: false,
          layoutIterations: 32,
          emphasis: { focus: "adjacency" },
          lineStyle: { color: "source", opacity: theme.name === "light" ? 0.28 : 0.4, curveness: 0.5 },
          label: {
            color: theme.text,
            fontSize: 12,
            position: "right",
            distance: 5,
            // The bands go on behind the labels.
            textBorderColor: theme.background,
            textBorderWidth: 3,
          },
          data: nodes.map((node) => ({
            ...{ name: node.name, depth: node.depth, hint: node.hint },
            itemStyle: { color: node.color, borderColor: theme.background },
            label: { formatter: labelOf(node) },
          })),
          links,
        },
      ],
    };
    return {
      option,
      height: tallest * GAP + THICK,
      description: `Flow diagram of the tokens of ${data.domains.length} domains: ${FATES.map(({ id, name }) => `${short(sum(data.flow![id]))} ${name}`).join(", ")}.`,
    };
  },
};

function layout({ domains, weights }: ReportData, found: ReportFlow, { theme, rows, others, width }: ChartView) {
  const shown = rows.slice(0, DOMAINS_LIMIT).filter((k) => FATES.some(({ id }) => found[id][k]! > 0));
  const rest = [...rows.slice(DOMAINS_LIMIT), ...others];
  const groups = [
    ...shown.map((k, i) => ({
      id: `domain ${k}`,
      name: domains[k]!,
      members: [k],
      color: theme.colors[domainPlace(theme, domains.length, k, i) % theme.colors.length]!,
    })),
    ...(rest.length > 0 ? [{ id: "others", name: `${rest.length} others`, members: rest, color: theme.muted }] : []),
  ];
  const withFiles = found.files.length > 0 && width >= NARROW;
  const first = withFiles ? 1 : 0;
  const fateColors: Record<(typeof FATES)[number]["id"], string> = {
    used: theme.colors[0]!,
    repeated: theme.colors[1]!,
    heldOut: theme.colors[3]!,
    unused: theme.muted,
  };
  const of = (id: (typeof FATES)[number]["id"], members: readonly number[]) => sum(members.map((k) => found[id][k]!));
  const fates = FATES.filter(({ id }) => sum(found[id]) > 0);
  const nodes: Node[] = [];
  const links: { source: string; target: string; value: number; hint: string }[] = [];
  const link = (source: string, target: string, value: number, hint: string) => {
    if (value > 0) links.push({ source, target, value, hint: `${hint}: ${integer(value)} tokens` });
  };
  if (withFiles) {
    for (const [i, { path, domain, tokens }] of found.files.entries()) {
      const group = groups.find(({ members }) => members.includes(domain));
      if (!group || tokens === 0) continue;
      nodes.push({
        name: `file ${i}`,
        depth: 0,
        label: shardName(path),
        color: group.color,
        hint: `${path}: ${integer(tokens)} tokens`,
      });
      link(`file ${i}`, group.id, tokens, `${path} to ${group.name}`);
    }
  }
  for (const { id, name, members, color } of groups) {
    const shards = sum(members.map((k) => found.shards[k]!));
    const tokens = of("used", members) + of("heldOut", members) + of("unused", members);
    const from = shards > 0 ? ` in ${integer(shards)} ${shards === 1 ? "shard" : "shards"}` : "";
    nodes.push({
      name: id,
      depth: first,
      label: `${name} ${short(tokens)}`,
      color,
      hint: `${name}: ${integer(tokens)} tokens${from}`,
    });
    for (const fate of fates) link(id, fate.id, of(fate.id, members), `${name}, ${fate.name}`);
  }
  for (const { id, name } of fates) {
    const tokens = sum(found[id]);
    nodes.push({
      name: id,
      depth: first + 1,
      label: `${name} ${short(tokens)}`,
      color: fateColors[id],
      hint: `${name}: ${integer(tokens)} tokens`,
    });
  }
  const total = weights?.set?.achievedTokens ?? 0;
  nodes.push({
    name: "set",
    depth: first + 2,
    label: `training set ${short(total)}`,
    color: theme.text,
    hint: `training set: ${integer(total)} tokens`,
  });
  link("used", "set", sum(found.used), "used");
  link("repeated", "set", sum(found.repeated), "read again");
  const tallest = Math.max(groups.length, withFiles ? found.files.length : 0, 4);
  return { nodes, links, tallest };
}

/** With its folder, because shards of all domains are often called alike, and without what all are called at their ends. */
function shardName(path: string): string {
  const name = path.split("/").slice(-2).join("/");
  return name.replace(/(?:\.[a-z]+\d*){1,2}$/i, "");
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
