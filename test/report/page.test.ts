/** The report in a real browser: what it shows, how it is used, who can use it, and that it asks nobody for anything. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { beforeAll, expect, it } from "vitest";
import { parseCsv } from "../../src/lib/csv.ts";
import type { ReportData } from "../../src/report/data/contract.ts";
import { readReportData } from "../../src/report/data/read.ts";
import { writeReport } from "../../src/report/write.ts";
import { describeInBrowser, useBrowser } from "./chromium.ts";
import { lastingFolder } from "./lasting-folder.ts";
import { domainNames, makeSyntheticRun } from "./synthetic-run.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">";
const SIZES = [
  { count: 22, rounds: 3 },
  { count: 200, rounds: 1 },
] as const;

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(AXE, "utf8"));
  const found = (await page.evaluate("axe.run()")) as { violations: Violation[] };
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}

/** Texts of a chart that lie on each other or leave its picture; and what makes the page wider than its window. */
const BAD_TEXTS = `(() => {
  const faults = [];
  for (const plot of document.querySelectorAll(".chart")) {
    const picture = plot.getBoundingClientRect();
    if (picture.width === 0) continue;
    const texts = [...plot.querySelectorAll("text")]
      .map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }))
      .filter(({ text, box }) => text.trim() !== "" && box.width > 0);
    const isOut = ({ left, right, top, bottom }) =>
      left < picture.left - 1 || right > picture.right + 1 || top < picture.top - 2 || bottom > picture.bottom + 2;
    for (const { text, box } of texts) if (isOut(box)) faults.push(plot.id + ": “" + text + "” is cut off");
    for (const [i, a] of texts.entries()) {
      for (const b of texts.slice(i + 1)) {
        // Boxes of lines of text hold room above and below the letters.
        const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (across > 1 && down > 4) faults.push(plot.id + ": “" + a.text + "” lies on “" + b.text + "”");
      }
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push("the page is wider than its window");
  return faults;
})()`;

const badTexts = async (page: Page) => (await page.evaluate(BAD_TEXTS)) as string[];

const names = (page: Page) => page.locator("#domains tbody tr td.text:not(.draw)").allTextContents();

describeInBrowser.each(SIZES)("a report of $count domains", ({ count, rounds }) => {
  const browser = useBrowser();
  const folder = lastingFolder();
  const domains = [HOSTILE, ...domainNames(count - 1)];
  let address: string;
  let data: ReportData;

  beforeAll(async () => {
    const run = await makeSyntheticRun(folder(), { domains, rounds, steps: 300, evaluation: true, shards: 2 });
    data = await readReportData(run);
    expect(data.problems).toEqual([]);
    const { html, bytes } = await writeReport(run, { output: join(folder(), "report.html") });
    expect(bytes).toBeLessThan(3_000_000);
    address = pathToFileURL(html).href;
  });

  it("shows what the run's files say, asks nobody for anything, and a name is only a name", async () => {
    const { page, faults } = await browser.open(address);
    expect(await page.locator("h1").textContent()).toBe("synthetic");
    expect(new Set(await names(page))).toEqual(new Set(domains));
    expect(await page.locator("#page img").count()).toBe(0);
    expect(await page.title()).toBe("synthetic – doremi");
    const charts = await page.locator("figure:visible .chart").evaluateAll((plots) => plots.map((plot) => plot.id));
    expect(charts).toEqual(
      [
        "weights",
        "epochs",
        "alpha",
        "excess",
        "domain-loss",
        "loss",
        "held-out",
        ...(rounds > 1 ? ["rounds"] : []),
        "difference",
        "evaluation",
        "shares",
        "lengths",
        "length-histogram",
        "flow",
      ].map((id) => `chart-${id}`),
    );
    expect(await page.locator(".messages .warning").first().textContent()).toContain("[no-excess]");
    expect(faults).toEqual([]);
  });

  it("sorts, filters and copies by the keyboard alone", async () => {
    const { page } = await browser.open(address, { permissions: ["clipboard-read", "clipboard-write"] });
    const tokens = new Map(domains.map((name, k) => [name, data.counts!.tokenizers[0]!.tokens[k]!]));
    await page.getByRole("button", { name: `tokens (${data.counts!.tokenizers[0]!.name})` }).focus();
    await page.keyboard.press("Enter");
    const descending = (await names(page)).map((name) => tokens.get(name)!);
    expect(descending).toEqual([...tokens.values()].sort((a, b) => b - a));
    await page.keyboard.press("Enter");
    expect((await names(page)).map((name) => tokens.get(name)!)).toEqual([...tokens.values()].sort((a, b) => a - b));
    await page.getByRole("searchbox").focus();
    await page.keyboard.type("CODE");
    const wanted = domains.filter((name) => name.includes("code"));
    expect(new Set(await names(page))).toEqual(new Set(wanted));
    const labelled = async () => {
      const labels = (await page.locator("#chart-epochs text").allTextContents()).filter((label) => label !== "");
      const of = (name: string) => labels.some((label) => name.startsWith(label.replace("…", "")));
      return { wanted: wanted.filter(of).length, others: domains.filter((name) => !wanted.includes(name) && of(name)) };
    };
    await expect.poll(labelled).toEqual({ wanted: Math.min(30, wanted.length), others: [] });
    await page.getByRole("button", { name: "Copy as CSV: Domains" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor({ state: "attached" });
    const csv = parseCsv(await page.evaluate<string>("navigator.clipboard.readText()"), "clipboard");
    expect(csv.header.slice(0, 3)).toEqual(["domain", "baseline", "learned"]);
    const at = csv.header.indexOf("documents");
    expect(csv.rows.map((row) => [row[0], Number(row[at])])).toEqual(
      (await names(page)).map((name) => [name, data.counts!.documents[domains.indexOf(name)]!]),
    );
    // A domain that no line is drawn of is drawn when it is checked.
    await page.getByRole("searchbox").fill("");
    const box = page.getByRole("checkbox", { name: /^draw/, checked: false }).first();
    const name = (await box.getAttribute("aria-label"))!.replace(/^draw (.*) as a line$/, "$1");
    await box.focus();
    await page.keyboard.press("Space");
    await page
      .locator("#chart-alpha text", { hasText: name.slice(0, 10) })
      .first()
      .waitFor({ state: "attached" });
  });

  it("tells a row's numbers to the pointer", async () => {
    const { page } = await browser.open(address);
    const epochs = page.locator("#chart-epochs");
    await epochs.scrollIntoViewIfNeeded();
    const box = (await epochs.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + 60);
    await page
      .locator("#chart-epochs text", { hasText: /^epochs: \d/ })
      .first()
      .waitFor({ state: "attached" });
  });

  it.each(["light", "dark"] as const)("has no fault that axe finds, in %s", async (colorScheme) => {
    const { page, faults } = await browser.open(address, { colorScheme });
    expect(await page.locator("html").getAttribute("data-theme")).toBe(colorScheme);
    await page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true");
    // Rows beyond a few are like those.
    await page.getByRole("searchbox").fill("web_d");
    await expect.poll(async () => (await names(page)).length).toBeLessThan(3);
    expect(await violations(page)).toEqual([]);
    await page.getByRole("button", { name: /^Switch to/ }).click();
    expect(await page.locator("html").getAttribute("data-theme")).toBe(colorScheme === "dark" ? "light" : "dark");
    expect(faults).toEqual([]);
  });

  it.each([390, 1000, 1600])("has no text that is cut off or lies on another, %i px wide", async (width) => {
    const { page, faults } = await browser.open(address, { viewport: { width, height: 900 } });
    expect(await badTexts(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it("prints in the width of the paper, without what is only for the screen", async () => {
    const { page } = await browser.open(address, { colorScheme: "dark" });
    await page.emulateMedia({ media: "print" });
    await page.evaluate("window.dispatchEvent(new Event('beforeprint'))");
    expect(await page.locator("html").getAttribute("data-theme")).toBe("light");
    expect(await page.getByRole("searchbox").isVisible()).toBe(false);
    expect(await page.locator("#chart-weights svg").getAttribute("width")).toBe("680");
    expect(await badTexts(page)).toEqual([]);
    await page.evaluate("window.dispatchEvent(new Event('afterprint'))");
    expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
  });
});

describeInBrowser("a report of a few domains of short names", () => {
  const browser = useBrowser();
  const folder = lastingFolder();
  let address: string;
  beforeAll(async () => {
    const domains = ["books", "csource", "factbook", "law_de", "math", "poetry_zh", "python", "techdocs"];
    const run = await makeSyntheticRun(folder(), { domains, steps: 60 });
    address = pathToFileURL((await writeReport(run, { output: join(folder(), "report.html") })).html).href;
  });

  it("has no text that is cut off or lies on another, however wide it is", { timeout: 60_000 }, async () => {
    const { page } = await browser.open(address, { viewport: { width: 320, height: 900 } });
    const found: Record<number, string[]> = {};
    // Legends in whose lines there is just no room for one more name are a matter of a few px.
    for (let width = 320; width < 524; width += 6) {
      await page.setViewportSize({ width, height: 900 });
      const drawn = async () => {
        const [svg, chart] = await Promise.all(
          ["#chart-alpha svg", "#chart-alpha"].map((part) => page.locator(part).boundingBox()),
        );
        return svg!.width === chart!.width;
      };
      await expect.poll(drawn).toBe(true);
      found[width] = await badTexts(page);
    }
    expect(Object.entries(found).filter(([, faults]) => faults.length > 0)).toEqual([]);
    const rows = await page.locator("#run tbody tr").evaluateAll((all) => all.map((row) => row.clientHeight));
    expect(Math.max(...rows)).toBeLessThan(60); // px: no key is broken into many lines
  });
});
