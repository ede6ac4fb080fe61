/**
 * The page as one text: its look, its program and its data, and a content security policy that lets nothing else in. The
 * data is JSON in an element that is not run, with no `<` in it, so that no name of a domain can be more than text.
 */
import { createHash } from "node:crypto";
import type { ReportData } from "../data/contract.ts";
import { STYLE } from "./style.ts";

export interface PageOptions {
  /** the program that draws the page, as the build makes it */
  readonly program: string;
  readonly data: ReportData;
  /** true: new data comes from where the page came from */
  readonly live?: boolean;
}

export function buildPage({ program, data, live = false }: PageOptions): string {
  const name = data.run.pipeline ?? "run";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(program, live)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="${escapeHtml(data.madeBy)}">
<title>${escapeHtml(name)} – doremi</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<noscript><p>This page draws its charts with JavaScript, which is switched off here.</p></noscript>
<div id="page" data-live="${live}"></div>
<script type="application/json" id="data">${embedJson(data)}</script>
<script>${program}</script>
</body>
</html>
`;
}

/** Styles are set by ECharts on its elements; no rule can fetch anything. */
export function contentPolicy(program: string, live: boolean): string {
  const hash = createHash("sha256").update(program).digest("base64");
  return [
    "default-src 'none'",
    `script-src 'sha256-${hash}'`,
    "style-src 'unsafe-inline'",
    "img-src data:",
    ...(live ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

/** JSON that ends no element and begins no comment. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
