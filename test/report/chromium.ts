/** A real browser for the tests of pages, where this machine has one; DOREMI_REQUIRE_CHROMIUM=1 where it must. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe } from "vitest";

const PATH = process.env.DOREMI_CHROMIUM ?? "/usr/bin/chromium";

const isThere = existsSync(PATH);
if (!isThere && process.env.DOREMI_REQUIRE_CHROMIUM) throw new Error(`${PATH}: Chromium must be here`);
if (!isThere)
  console.warn(`left out: tests of pages in a browser, because there is no Chromium at ${PATH} (DOREMI_CHROMIUM)`);

export const describeInBrowser = describe.skipIf(!isThere);

/** What a page did that a report must not. */
export interface Watched {
  readonly page: Page;
  /** messages of the console, errors of scripts, requests to anywhere */
  readonly faults: string[];
}

/** One browser for a file's tests. */
export function useBrowser(): { open(address: string, options?: BrowserContextOptions): Promise<Watched> } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
    browser = await chromium.launch({
      executablePath: PATH,
      args: [
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
        ...quiet,
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });
  afterAll(() => browser?.close());
  return {
    async open(address, options = {}) {
      const context = await browser!.newContext({ viewport: { width: 1000, height: 900 }, ...options });
      const page = await context.newPage();
      const faults: string[] = [];
      page.on("console", (message) => faults.push(`console ${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
      page.on("request", (request) => {
        if (request.url() !== address && !/^(data|blob):/.test(request.url())) faults.push(`request: ${request.url()}`);
      });
      await page.goto(address);
      return { page, faults };
    },
  };
}
