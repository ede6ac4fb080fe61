/**
 * The report of a run that goes on, to a browser on this machine: the page at a secret address, and its data again whenever
 * it has changed. It listens on 127.0.0.1 alone, answers nothing but these two, and knows no file: who asks without the
 * secret, by another name than this machine's, or to change something, is refused.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DoremiError } from "../../lib/errors.ts";
import { ReportReader } from "../data/read.ts";
import { readProgram } from "../page/program.ts";
import { buildPage, contentPolicy } from "../page/template.ts";

const HOST = "127.0.0.1";
/** ms between two looks at the run's folder, while somebody watches */
const EVERY_MS = 1000;
/** ms after which a connection without news gets a sign of life */
const IDLE_MS = 15_000;
/** ms after which a browser that lost the server asks again */
const RETRY_MS = 2000;
/** Pages that watch at once. */
const CLIENTS_LIMIT = 16;
/** A reader that is behind by so many bytes waits for the next state. */
const BEHIND_LIMIT = 8 << 20;

export interface WatchServer {
  /** with the secret in it */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * @param folder a run's output, looked at again and again
 * @param port 0: any that is free
 * @throws DoremiError port-taken, not-built
 */
export async function serveRun(folder: string, port = 0): Promise<WatchServer> {
  const program = await readProgram();
  const token = randomBytes(16).toString("hex");
  const feed = new Feed(folder);
  const server = createServer((request, response) => {
    const refuse = (status: number, more: Record<string, string> = {}) => {
      response.writeHead(status, { ...HEADERS, "content-type": "text/plain; charset=utf-8", ...more });
      response.end(`${status}\n`);
    };
    const { port: own } = server.address() as AddressInfo;
    // A page elsewhere whose name was made to mean this machine still sends its own name.
    if (request.headers.host !== `${HOST}:${own}` && request.headers.host !== `localhost:${own}`) return refuse(403);
    if (request.method !== "GET") return refuse(405, { allow: "GET" });
    const [, secret = "", name = null, ...rest] = (request.url ?? "").split("?", 1)[0]!.split("/");
    if (!isEqual(secret, token) || rest.length > 0) return refuse(404);
    if (name === "events") return feed.add(request, response, refuse);
    if (name !== "") return refuse(404);
    feed
      .data()
      .then((data) => {
        const policy = `${contentPolicy(program, true)}; frame-ancestors 'none'`;
        const page = buildPage({ program, data, live: true });
        response.writeHead(200, {
          ...HEADERS,
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": policy,
        });
        response.end(page);
      })
      .catch(() => refuse(503));
  });
  await listen(server, port);
  return {
    address: `http://${HOST}:${(server.address() as AddressInfo).port}/${token}/`,
    async close() {
      feed.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/** In a time that does not tell how much of it was right. */
function isEqual(found: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(found), digest(expected));
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE" && error.code !== "EACCES") return reject(error);
      const why = error.code === "EACCES" ? "may not be used" : "is in use";
      reject(
        new DoremiError(
          "usage",
          "port-taken",
          `--port ${port}: must be free, and ${why}; name another one, or none for any`,
        ),
      );
    });
    server.listen(port, HOST, resolve);
  });
}

/** Reads the run's folder while somebody watches, and tells them what changed. */
class Feed {
  readonly #reader: ReportReader;
  readonly #clients = new Set<ServerResponse>();
  #reading: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sent = "";
  #sentMs = 0;

  constructor(folder: string) {
    this.#reader = new ReportReader(folder);
  }

  async data() {
    return JSON.parse(await this.#read()) as Awaited<ReturnType<ReportReader["read"]>>;
  }

  add(request: IncomingMessage, response: ServerResponse, refuse: (status: number) => void): void {
    if (this.#clients.size >= CLIENTS_LIMIT) {
      refuse(503);
      return;
    }
    response.writeHead(200, { ...HEADERS, "content-type": "text/event-stream" });
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#clients.add(response);
    request.on("close", () => {
      this.#clients.delete(response);
      if (this.#clients.size === 0) this.#pause();
    });
    this.#sent = ""; // the new one has what the page came with, which may be old by now
    this.#timer ??= setInterval(() => void this.#look(), EVERY_MS);
  }

  close(): void {
    this.#pause();
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One reading at a time: who comes meanwhile gets the same. */
  #read(): Promise<string> {
    this.#reading ??= this.#reader
      .read()
      .then((data) => JSON.stringify(data))
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async #look(): Promise<void> {
    if (this.#reading) return;
    const text = await this.#read().catch(() => undefined); // a stage's folder is just being put in place
    if (text === undefined) return;
    // When it was made is no news.
    const news = text.replace(/"madeAt":"[^"]*"/, "");
    const isNew = news !== this.#sent;
    if (!isNew && performance.now() - this.#sentMs < IDLE_MS) return;
    this.#sent = news;
    this.#sentMs = performance.now();
    const message = isNew ? `event: data\ndata: ${text}\n\n` : ": still here\n\n";
    for (const client of this.#clients) if (client.writableLength < BEHIND_LIMIT) client.write(message);
  }
}
