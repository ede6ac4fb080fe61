/**
 * Colours, dashes and markers. The colours are told apart with any colour vision (after Okabe and Ito, darkened or
 * lightened until each has a contrast of 4.5 to its background), and none stands alone: every line has a dash, a marker and
 * its name beside it, every dot a shape of its own.
 */

export interface Theme {
  readonly name: "light" | "dark";
  readonly background: string;
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly colors: readonly string[];
}

export const LIGHT: Theme = {
  name: "light",
  background: "#ffffff",
  text: "#1c2330",
  muted: "#5a6373",
  grid: "#e3e6eb",
  colors: ["#0067a3", "#c04d00", "#00775a", "#a13d83", "#7d6200", "#2f7ca8", "#5c5c5c", "#8a4a1f"],
};

export const DARK: Theme = {
  name: "dark",
  background: "#14181f",
  text: "#e8ebf0",
  muted: "#a3adbd",
  grid: "#2d3440",
  colors: ["#56b4e9", "#ff9650", "#2fc89b", "#e394c4", "#e6b84a", "#a6d8f5", "#c4c4c4", "#d9a37a"],
};

/** Filled, so that they look alike on any background; the last four are a plus, a cross, a triangle on its tip, an hourglass. */
export const MARKERS = [
  ...(["circle", "rect", "triangle", "diamond"] as const),
  "path://M4 0H8V4H12V8H8V12H4V8H0V4H4Z",
  "path://M0 3L3 0L6 3L9 0L12 3L9 6L12 9L9 12L6 9L3 12L0 9L3 6Z",
  "path://M0 0H12L6 12Z",
  "path://M0 0H12L8 6L12 12H0L4 6Z",
] as const;

const DASHES = ["solid", [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 4], [1, 2], [6, 2, 2, 2, 2, 2]] as const;

export interface LineStyle {
  readonly color: string;
  readonly dash: (typeof DASHES)[number];
  readonly marker: (typeof MARKERS)[number];
}

/**
 * Of a domain, which keeps its colour whatever the weights come to, where there are no more of them than colours; of more,
 * those that are drawn have different ones. @param k index of the domain @param i of the drawn ones
 */
export function domainPlace(theme: Theme, domains: number, k: number, i: number): number {
  return domains <= theme.colors.length ? k : i;
}

/** Of the i-th line: no two of 64 look the same. */
export function lineStyle(theme: Theme, i: number): LineStyle {
  const turn = Math.floor(i / theme.colors.length);
  return {
    color: theme.colors[i % theme.colors.length]!,
    dash: DASHES[(i + turn) % DASHES.length]!,
    marker: MARKERS[(i + 3 * turn) % MARKERS.length]!,
  };
}
