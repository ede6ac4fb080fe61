/** An output that cannot be written: a read-only file system, a folder of somebody else's, a path through a file. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pipelineFile, start } from "./program.ts";
import { temporaryFolder } from "./small.ts";

const isRoot = process.getuid?.() === 0;
const mounts = isRoot && process.platform === "linux" && canMount();

function canMount(): boolean {
  const probe = temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", probe], { stdio: "ignore" });
    execFileSync("umount", [probe]);
    return true;
  } catch {
    return false;
  }
}

describe("an output that cannot be written", () => {
  it.skipIf(!mounts)(
    `on a read-only file system is refused, and made once it can be written${mounts ? "" : " (left out: needs root on Linux)"}`,
    async () => {
      const folder = temporaryFolder();
      const disk = join(folder, "disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", disk]);
      try {
        const { file, output } = pipelineFile(folder, "small");
        for (const at of [join(disk, "out"), disk]) {
          const { status, result } = await start(["run", file, "--output", at]).ended;
          expect(status).toBe(73);
          expect(result.error).toMatchObject({
            code: "read-only",
            message: expect.stringMatching(/read-only; choose another --output/),
          });
        }
        expect(readdirSync(disk)).toEqual([]);
        expect((await start(["run", file]).ended).status).toBe(0);
        const set = [
          "materialize",
          join(output, "resample/manifest.json"),
          "--as",
          "jsonl",
          "--output",
          join(disk, "set"),
        ];
        expect(await start(set).ended).toMatchObject({ status: 73, result: { error: { code: "read-only" } } });
        execFileSync("mount", ["-o", "remount,rw", disk]);
        expect((await start(["run", file, "--output", join(disk, "out")]).ended).status).toBe(0);
        expect((await start(set).ended).status).toBe(0);
      } finally {
        execFileSync("umount", ["-l", disk]);
      }
    },
  );

  it.skipIf(isRoot)(
    `in a folder without permission is refused${isRoot ? " (left out: root may write everywhere)" : ""}`,
    async () => {
      const folder = temporaryFolder();
      const parent = join(folder, "theirs");
      mkdirSync(parent);
      chmodSync(parent, 0o555);
      try {
        const { file } = pipelineFile(folder, "small");
        const { status, result } = await start(["run", file, "--output", join(parent, "out")]).ended;
        expect(status).toBe(73);
        expect(result.error).toMatchObject({ code: "no-permission" });
      } finally {
        chmodSync(parent, 0o755);
      }
    },
  );

  it("under a path that is a file is refused, and the file stays", async () => {
    const folder = temporaryFolder();
    const parent = join(folder, "file");
    writeFileSync(parent, "mine");
    const { file } = pipelineFile(folder, "small");
    const { status, result } = await start(["run", file, "--output", join(parent, "out")]).ended;
    expect(status).toBe(78);
    expect(result.error).toMatchObject({ code: "not-a-folder" });
  });
});
