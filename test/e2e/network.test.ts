/** A run on files of this machine has no socket of the network: it listens nowhere and calls nobody. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pipelineFile, start, waitFor } from "./program.ts";
import { temporaryFolder } from "./small.ts";

/** Lines of /proc/net that are sockets of this process. */
function socketsOf(pid: number): string[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  return ["tcp", "tcp6", "udp", "udp6"].flatMap((kind) =>
    readFileSync(`/proc/net/${kind}`, "utf8")
      .split("\n")
      .slice(1)
      .filter((line) => own.has(line.trim().split(/\s+/)[9] ?? "")),
  );
}

it.runIf(process.platform === "linux")("a run listens nowhere and calls nobody (needs /proc to tell)", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    expect(socketsOf(process.pid)).toHaveLength(1); // so that one would be seen
  } finally {
    server.close();
  }
  const folder = temporaryFolder();
  const gate = join(folder, "gate");
  const { file } = pipelineFile(folder, "small", { transform: waitFor(gate) });
  const run = start(["run", file]);
  await run.said(/"stage":"count"/);
  expect(socketsOf(run.child.pid!)).toEqual([]);
  writeFileSync(gate, "");
  expect((await run.ended).status).toBe(0);
});
