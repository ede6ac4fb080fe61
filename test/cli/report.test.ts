/** `report` and `watch` as a user's shell sees them. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { smallPipeline } from "../e2e/small.ts";

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "doremi-report-"));
  await runPipeline(smallPipeline(join(folder, "run"), { cache: false }), { until: "count" });
});
afterAll(() => rmSync(folder, { recursive: true }));

function doremi(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, stderr, result: JSON.parse(stdout) as Record<string, unknown> };
}

describe("report", () => {
  it("writes the page into the run's folder and says where", () => {
    const { status, result } = doremi("report", join(folder, "run"));
    expect(status).toBe(0);
    expect(result).toMatchObject({
      command: "report",
      html: join(folder, "run", "report.html"),
      bytes: expect.any(Number),
    });
    for (const path of [result.html as string, ...(result.svg as string[])]) expect(existsSync(path)).toBe(true);
  });

  it("refuses what is no run: status 66 and what to do", () => {
    const { status, result, stderr } = doremi("report", join(folder, "nowhere"));
    expect(status).toBe(66);
    expect(result).toMatchObject({ error: { code: "missing-folder" } });
    expect(stderr).toContain("name the folder that the pipeline file calls output");
  });
});

describe("watch", () => {
  it("serves until SIGINT, and ends with 130 and not a word more", async () => {
    const child = spawn(process.execPath, [MAIN, "watch", join(folder, "run")], { stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    const lines = createInterface(child.stdout);
    const [line] = (await once(lines, "line")) as [string];
    const { command, url } = JSON.parse(line) as { command: string; url: string };
    expect(command).toBe("watch");
    expect((await fetch(url)).status).toBe(200);
    const events = await fetch(`${url}events`); // a page that is open keeps nobody
    const ended = once(child, "exit");
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    await events.text().catch(() => "");
    expect(errors.trim().split("\n").length).toBe(1);
  });

  it.each([
    [["nowhere"], 66],
    [["run", "--port", "99999"], 2],
  ])("refuses %j with status %i", ([run, ...rest], expected) => {
    const { status, result } = doremi("watch", join(folder, run!), ...rest);
    expect(status).toBe(expected);
    expect(result).toHaveProperty("error");
  });
});
