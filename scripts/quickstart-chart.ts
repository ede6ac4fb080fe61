/**
 * Draws the README's picture from a finished quickstart: share of each domain by tokens, learned weight and share of
 * the resampled set, and how the weights moved. Usage: tsx scripts/quickstart-chart.ts runs/quickstart docs/quickstart.svg
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";

const [run = "runs/quickstart", target = "docs/quickstart.svg"] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(join(run, "resample/manifest.json"), "utf8")) as {
  domains: { name: string; tokens: number; weight: number; achievedWeight: number }[];
};
const table = tableFromIPC(readFileSync(join(run, "proxy/trajectory.arrow")));
const names = JSON.parse(table.schema.metadata.get("doremi.domains") ?? "[]") as string[];
const total = manifest.domains.reduce((sum, domain) => sum + domain.tokens, 0);

// What the picture, and the README's table, is of: a test holds it to what is there now.
const versions = ["discover", "count", "tokenize", "reference", "proxy", "resample"].map((stage) => {
  const { version } = JSON.parse(readFileSync(join(run, stage, "done.json"), "utf8")) as { version: number };
  return `${stage} ${version}`;
});
const settings = createHash("sha256").update(readFileSync("pipelines/quickstart.yaml")).digest("hex").slice(0, 16);
const made = [...versions, `quickstart.yaml ${settings}`].join(", ");

const COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#eeca3b"];
const BARS = ["#b8c4d6", "#4c78a8", "#1f3552"];
const rowHeight = 44;
const left = 90;
const barWidth = 300;
const height = 90 + manifest.domains.length * rowHeight;
const largest = Math.max(...manifest.domains.flatMap((d) => [d.tokens / total, d.weight, d.achievedWeight]));
const percent = (share: number) => `${(share * 100).toFixed(1)}%`;
const parts: string[] = [];
const text = (x: number, y: number, content: string, more = "") =>
  parts.push(`<text x="${x}" y="${y}" ${more}>${content.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</text>`);

for (const [i, label] of ["share of the corpus", "learned weight", "share of the resampled set"].entries()) {
  parts.push(`<rect x="${left + i * 130}" y="22" width="11" height="11" fill="${BARS[i]}"/>`);
  text(left + 15 + i * 130, 32, label);
}
for (const [row, domain] of manifest.domains.entries()) {
  const y = 52 + row * rowHeight;
  text(left - 8, y + 22, domain.name, 'text-anchor="end"');
  for (const [i, share] of [domain.tokens / total, domain.weight, domain.achievedWeight].entries()) {
    const width = (share / largest) * barWidth;
    parts.push(`<rect x="${left}" y="${y + i * 12}" width="${width.toFixed(1)}" height="10" fill="${BARS[i]}"/>`);
    text(left + width + 4, y + i * 12 + 9, percent(share), 'font-size="9"');
  }
}

const plotLeft = 560;
const plotWidth = 300;
const plotTop = 52;
const plotHeight = manifest.domains.length * rowHeight - 20;
const steps = table.numRows;
const alphas = Array.from({ length: steps }, (_, step) =>
  Array.from(table.getChild("alpha")?.get(step) as Iterable<number>),
);
const top = Math.max(...alphas.flat());
text(plotLeft, 32, `domain weights over ${steps} steps of the proxy`);
parts.push(
  `<rect x="${plotLeft}" y="${plotTop}" width="${plotWidth}" height="${plotHeight}" fill="none" stroke="#999"/>`,
);
text(plotLeft - 4, plotTop + 8, percent(top), 'text-anchor="end" font-size="9"');
text(plotLeft - 4, plotTop + plotHeight, "0%", 'text-anchor="end" font-size="9"');
// Names at the right stand where the lines end, moved apart where they would overlap.
const ends = names.map((name, k) => ({ name, k, y: plotTop + plotHeight * (1 - (alphas.at(-1)?.[k] ?? 0) / top) }));
ends.sort((a, b) => a.y - b.y);
for (let i = 1; i < ends.length; i++) ends[i]!.y = Math.max(ends[i]!.y, ends[i - 1]!.y + 11);
const overflow = Math.max(0, (ends.at(-1)?.y ?? 0) - (plotTop + plotHeight));
for (const { name, k, y } of ends) {
  const points = alphas.map(
    (alpha, step) =>
      `${(plotLeft + (step / (steps - 1)) * plotWidth).toFixed(1)},${(plotTop + plotHeight * (1 - alpha[k]! / top)).toFixed(1)}`,
  );
  parts.push(
    `<polyline points="${points.join(" ")}" fill="none" stroke="${COLOURS[k % COLOURS.length]}" stroke-width="1.5"/>`,
  );
  text(plotLeft + plotWidth + 4, y - overflow + 4, name, `fill="${COLOURS[k % COLOURS.length]}"`);
}

writeFileSync(
  target,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 950 ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#222">
<!-- of: ${made} -->
<rect width="950" height="${height}" fill="#fff"/>
${parts.join("\n")}
</svg>
`,
);
