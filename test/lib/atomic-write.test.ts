import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AtomicFile, writeFileAtomic } from "../../src/lib/atomic-write.ts";
import { makeFolder } from "../../src/lib/make-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-atomic-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("atomic files", () => {
  it("appear with all their bytes, in folders that are made for them", async () => {
    const path = join(folder, "a", "b", "c.txt");
    await writeFileAtomic(path, "hällo");
    expect(await readFile(path, "utf8")).toBe("hällo");
    expect(await readdir(join(folder, "a", "b"))).toEqual(["c.txt"]);
  });

  it("are under their final name only after commit", async () => {
    const path = join(folder, "x.bin");
    const file = await AtomicFile.create(path);
    await file.write(new Uint8Array([0, 0, 0, 0]));
    await file.write(new Uint8Array([5, 6]));
    await file.patch(new Uint8Array([1, 2, 3, 4]), 0);
    expect(file.size).toBe(6);
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
    await file.commit();
    expect([...(await readFile(path))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await readdir(folder)).toEqual(["x.bin"]);
  });

  it("leave nothing behind when discarded, and keep the file that was there", async () => {
    const path = join(folder, "x.bin");
    await writeFile(path, "old");
    const file = await AtomicFile.create(path);
    await file.write(new Uint8Array(1000));
    await file.discard();
    await file.discard();
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["x.bin"]);
  });

  it("leave nothing behind when the rename fails", async () => {
    const path = join(folder, "taken");
    await writeFileAtomic(join(path, "inside"), "a folder is in the way");
    await expect(writeFileAtomic(path, "x")).rejects.toMatchObject({ code: "output-is-folder", file: path });
    expect(await readdir(folder)).toEqual(["taken"]);
  });

  it("are refused by the name that was asked for, where there is no place for them", async () => {
    await writeFile(join(folder, "file"), "");
    const below = join(folder, "file", "x");
    await expect(writeFileAtomic(below, "x")).rejects.toMatchObject({ code: "not-a-folder", exitStatus: 78 });
    await expect(makeFolder(join(folder, "file"))).rejects.toMatchObject({ code: "not-a-folder" });
    await makeFolder(folder);
    await makeFolder(join(folder, "a/b/c"));
    expect((await stat(join(folder, "a/b/c"))).isDirectory()).toBe(true);
  });

  it.skipIf(process.platform !== "linux")("are refused where nothing can be made, soon", async () => {
    const expected = { code: "cannot-create", exitStatus: 73 };
    await expect(writeFileAtomic("/proc/x", "x")).rejects.toMatchObject({ ...expected, file: "/proc/x" });
    await expect(makeFolder("/proc/x/y")).rejects.toMatchObject(expected);
  });

  it.skipIf(process.getuid?.() === 0)(
    "leave nothing behind in a folder that cannot be written (left out for root)",
    async () => {
      await chmod(folder, 0o500);
      await expect(writeFileAtomic(join(folder, "x"), "x")).rejects.toMatchObject({
        code: "no-permission",
        message: expect.stringMatching(/x: no permission to write it/),
      });
      await chmod(folder, 0o700);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it("do not disturb each other when several write the same name", async () => {
    const path = join(folder, "same");
    await Promise.all(Array.from({ length: 8 }, (_, i) => writeFileAtomic(path, String(i).repeat(5000))));
    const text = await readFile(path, "utf8");
    expect(text).toBe(text[0]!.repeat(5000));
    expect(await readdir(folder)).toEqual(["same"]);
  });
});
