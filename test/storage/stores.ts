/**
 * Real stores on this machine's loopback: moto speaks S3, Azurite Azure Blob Storage. They run where DOREMI_CONSUMERS
 * names the folder with moto (scripts/consumers-venv.mjs FOLDER s3) and DOREMI_AZURITE the one that Azurite was
 * installed into (npm install --prefix FOLDER azurite); with DOREMI_REQUIRE_OBJECT_STORES=1 a missing one is a failure.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const AZURITE_ACCOUNT = "devstoreaccount1";
/** Known to everybody: Azurite has no other. */
export const AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const { DOREMI_CONSUMERS: consumers = "", DOREMI_AZURITE: azurite = "" } = process.env;
const MOTO = join(consumers, "s3/bin/moto_server");
const AZURITE = join(azurite, "node_modules/azurite/dist/src/blob/main.js");

export const required = process.env.DOREMI_REQUIRE_OBJECT_STORES === "1";
export const hasMoto = consumers !== "" && existsSync(MOTO);
export const hasAzurite = azurite !== "" && existsSync(AZURITE);

export interface Store {
  readonly url: string;
  close(): Promise<void>;
}

export function startMoto(): Promise<Store> {
  return start((port) => [MOTO, "-H", "127.0.0.1", "-p", String(port)]);
}

export function startAzurite(): Promise<Store> {
  return start((port) => [
    process.execPath,
    AZURITE,
    ...["--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry", "--blobPort", String(port)],
  ]);
}

async function start(command: (port: number) => string[]): Promise<Store> {
  const port = await freePort();
  const [program = "", ...args] = command(port);
  const server = spawn(program, args, { stdio: "ignore" });
  const failed = new Promise<never>((_, reject) => {
    server.once("error", reject);
    server.once("exit", (status) => reject(new Error(`${program} left with status ${status}`)));
  });
  failed.catch(() => {});
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([answering(url), failed]);
  return { url, close: () => stop(server) };
}

async function answering(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    await sleep(50);
  }
}

function stop(server: ChildProcess): Promise<void> {
  const left = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  server.kill("SIGKILL"); // it holds nothing
  return server.exitCode === null ? left : Promise.resolve();
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
