/** A disk that fills up: a clear error, nothing half-written under a final name, and the same command goes on later. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { smallPipeline, temporaryFolder } from "./small.ts";

/** Only root may mount, as in CI; elsewhere the reason is in the title. */
const isRoot = process.platform === "linux" && process.getuid?.() === 0 && canMount();

function canMount(): boolean {
  const probe = temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", probe], { stdio: "ignore" });
    execFileSync("umount", [probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

describe.skipIf(!isRoot)(`a full disk${isRoot ? "" : " (left out: mounting a tmpfs needs root on Linux)"}`, () => {
  it("stops the run, loses nothing, and the next run finishes", async () => {
    const disk = join(temporaryFolder(), "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
    try {
      const output = join(disk, "out");
      // Enough room for the counts, not for the tokens and models.
      const ballast = join(disk, "ballast");
      writeFileSync(ballast, Buffer.alloc(7_700_000));
      const run = runPipeline(smallPipeline(output));
      await expect(run).rejects.toMatchObject({
        code: "disk-full",
        exitStatus: 73,
        message: expect.stringMatching(/no space left.*run the same command again/s),
      });
      const stages = readdirSync(output).filter((name) => name !== ".doremi");
      for (const stage of stages) expect(readdirSync(join(output, stage))).toContain("done.json");
      expect(stages).not.toContain("resample");
      rmSync(ballast);
      const result = await runPipeline(smallPipeline(output));
      expect(await verify(result.paths.manifest!)).toMatchObject({ ok: true });
      expect(readdirSync(output, { recursive: true }).filter((path) => String(path).endsWith(".tmp"))).toEqual([]);
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });
});
