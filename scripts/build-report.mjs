// Builds what the report is drawn with: the page's program, with the charts' library in it, beside its source and in dist/;
// there it also stands for that library, so that the installed package needs no other.
import { readFileSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
// What the libraries' licences ask to go with them: Apache-2.0's notice, BSD-3-Clause's and 0BSD's texts.
const licence = (name) => readFileSync(join(root, "node_modules", name), "utf8").trim().replaceAll("*/", "* /");
const banner = `/*! Apache ECharts, under the Apache License 2.0.\n${licence("echarts/NOTICE")}\n\nZRender:\n${licence("zrender/LICENSE")}\n*/`;
const common = { bundle: true, minify: true, logLevel: "warning", target: "es2022", charset: "utf8", legalComments: "none", banner: { js: banner } };
const program = join(root, "src/report/page/page.js");

await build({
  ...common,
  entryPoints: [join(root, "src/report/page/client/main.ts")],
  outfile: program,
  format: "iife",
  platform: "browser",
  define: { "process.env.NODE_ENV": '"production"' },
});
await copyFile(program, join(root, "dist/report/page/page.js"));
// Charts as files are drawn by the same program, so that the package holds the library once.
await writeFile(
  join(root, "dist/report/charts/echarts.js"),
  `import "../page/page.js";\nexport const { openChart, renderChart } = globalThis[Symbol.for("doremi.report.charts")];\n`,
);
