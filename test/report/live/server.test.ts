/** What the server of a run's page answers, and whom. */
import { get, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { runPipeline } from "../../../src/pipeline/run.ts";
import type { ReportData } from "../../../src/report/data/contract.ts";
import { serveRun } from "../../../src/report/live/server.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "../../e2e/small.ts";
import { describeInBrowser, useBrowser } from "../chromium.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

function ask(
  address: string,
  options: { readonly method?: string; readonly headers?: Record<string, string>; readonly path?: string } = {},
) {
  return new Promise<Answer>((resolve, reject) => {
    const sent = request(address, options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    sent.on("error", reject).end();
  });
}

const pipelineOf = (output: string) =>
  smallPipeline(output, {
    train: { ...smallTraining(), reference: { steps: 60 }, proxy: { steps: 60 } },
    cache: false,
  });

async function serve(folder: string) {
  const server = await serveRun(folder);
  onTestFinished(() => server.close());
  return server;
}

describe("the server of a run's page", () => {
  it("answers this machine, by its name, with the secret, to read: and nobody else", async () => {
    const output = join(temporaryFolder(), "run");
    await runPipeline(pipelineOf(output), { until: "count" });
    const { address } = await serve(output);
    const { port, pathname } = new URL(address);
    expect(new URL(address).hostname).toBe("127.0.0.1");
    expect(pathname).toMatch(/^\/[0-9a-f]{32}\/$/);
    const page = await ask(address);
    expect(page.status).toBe(200);
    expect(page.body).toContain('data-live="true"');
    expect(page.headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; /);
    expect(page.headers["cache-control"]).toBe("no-store");
    const statuses = async (...tries: Parameters<typeof ask>[]) =>
      Promise.all(tries.map(async (own) => (await ask(...own)).status));
    const base = `http://127.0.0.1:${port}`;
    const wrong = pathname.replace(/.\/$/, (end) => (end[0] === "0" ? "1/" : "0/"));
    expect(
      await statuses(
        ...([
          `${base}/`,
          `${base}/events`,
          base + wrong,
          `${base + wrong}events`,
          `${base}${pathname.slice(0, -2)}/`,
        ].map((own) => [own]) as [string][]),
      ),
    ).toEqual([404, 404, 404, 404, 404]);
    expect(
      await statuses(
        [address, { path: `${pathname}../../etc/passwd` }],
        [address, { path: `${pathname}count/counts.json` }],
        [address, { path: `${pathname}%2e%2e/` }],
      ),
    ).toEqual([404, 404, 404]);
    expect(
      await statuses(
        [address, { headers: { host: "evil.example" } }],
        [address, { headers: { host: `evil.example:${port}` } }],
        [address, { headers: { host: `127.0.0.1:1` } }],
      ),
    ).toEqual([403, 403, 403]);
    expect(await statuses([address, { headers: { host: `localhost:${port}` } }])).toEqual([200]);
    expect(
      await statuses(
        ...(["POST", "PUT", "DELETE", "HEAD", "OPTIONS"].map((method) => [address, { method }]) as Parameters<
          typeof ask
        >[]),
      ),
    ).toEqual([405, 405, 405, 405, 405]);
    await expect(serveRun(output, Number(port))).rejects.toMatchObject({ kind: "usage", code: "port-taken" });
  });

  it("tells what changed while a run goes on, and of the run after it", async () => {
    const output = join(temporaryFolder(), "run");
    await runPipeline(pipelineOf(output), { until: "count" });
    const { address } = await serve(output);
    const seen: ReportData[] = [];
    let text = "";
    const client = get(`${address}events`, (response) => {
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        const messages = text.split("\n\n");
        text = messages.pop()!;
        for (const message of messages) {
          const data = /^event: data\ndata: (.*)$/.exec(message)?.[1];
          if (data) seen.push(JSON.parse(data) as ReportData);
        }
      });
    });
    client.on("error", () => {}); // the server closes it
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1);
    expect(seen[0]).toMatchObject({ run: { state: "done" }, trainings: [] });
    await runPipeline(pipelineOf(output));
    await expect.poll(() => seen.at(-1)?.weights?.set?.achievedTokens, { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(() => seen.at(-1)!.run.state, { timeout: 10_000 }).toBe("done");
    const told = seen.length;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(seen.length).toBe(told); // nothing changed, nothing is told
    client.destroy();
  });
});

describeInBrowser("a page that watches a run", () => {
  const browser = useBrowser();

  it("shows its progress, then its result, without being loaded again", async () => {
    const output = join(temporaryFolder(), "run");
    await runPipeline(pipelineOf(output), { until: "count" });
    const { address } = await serve(output);
    const { page, faults } = await browser.open(address);
    await expect.poll(() => page.locator("#state").textContent()).toBe("done");
    expect(await page.locator("#chart-alpha").isVisible()).toBe(false);
    await page.evaluate("window.kept = true");
    const stop = new AbortController();
    const first = runPipeline(pipelineOf(output), {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === "progress" && event.stage === "proxy" && event.done >= 20) stop.abort();
      },
    });
    await expect(first).rejects.toMatchObject({ kind: "interrupted" });
    await expect.poll(() => page.locator("#state").textContent(), { timeout: 15_000 }).toContain("interrupted");
    expect(await page.locator(".stage", { hasText: "proxy" }).textContent()).toContain("of 60 steps");
    expect(await page.locator("#chart-alpha").isVisible()).toBe(true);
    await runPipeline(pipelineOf(output));
    await expect.poll(() => page.locator("#state").textContent(), { timeout: 15_000 }).toBe("done");
    await expect.poll(() => page.locator("#chart-flow").isVisible(), { timeout: 15_000 }).toBe(true);
    expect(await page.evaluate("window.kept")).toBe(true);
    expect(faults.filter((fault) => !fault.endsWith("/events"))).toEqual([]);
  });
});
