/**
 * Servers on this machine's loopback for tests of remote files: one that gives files by ranges, and a proxy in front of
 * a real store. Both count what they send, and fail where a test tells them to.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request as requestTo, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** "stall": the answer begins and does not go on. A status: an answer of a store, in the form of S3. */
export type Fault = "reset" | "truncate" | "stall" | { readonly status: number; readonly code?: string };

export interface SeenRequest {
  readonly method: string;
  /** path and query */
  readonly url: string;
  /** of the Range header */
  readonly range: string | undefined;
  /** bytes of the body that were sent */
  sent: number;
}

type Answer = (request: IncomingMessage, response: ServerResponse, faulty: Fault | undefined) => void;

export class TestServer {
  readonly requests: SeenRequest[] = [];
  /** what is to go wrong with a request */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  readonly #server;
  readonly #stalled = new Set<ServerResponse>();

  private constructor(answer: Answer) {
    this.#server = createServer((request, response) => {
      const { method = "", url = "", headers } = request;
      const seen: SeenRequest = { method, url, range: headers.range ?? (headers["x-ms-range"] as string), sent: 0 };
      this.requests.push(seen);
      const write = response.write.bind(response) as (chunk: Uint8Array) => boolean;
      response.write = ((chunk: Uint8Array) => {
        seen.sent += chunk.length;
        return write(chunk);
      }) as typeof response.write;
      response.on("error", () => {});
      const fault = this.fault(seen);
      if (fault === "reset") {
        request.socket.destroy();
      } else if (typeof fault === "object") {
        request.resume();
        response.writeHead(fault.status, { "content-type": "application/xml" });
        response.end(
          fault.code && method !== "HEAD" ? `<Error><Code>${fault.code}</Code><Message>no</Message></Error>` : "",
        );
      } else {
        if (fault === "stall") this.#stalled.add(response);
        answer(request, response, fault);
      }
    });
  }

  /** Forwards to a store, as it comes. */
  static async proxy(upstream: string): Promise<TestServer> {
    const { hostname, port } = new URL(upstream);
    return TestServer.#start((request, response, fault) => {
      const { method, url, headers } = request;
      const forwarded = requestTo({ hostname, port, method, path: url, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const body = Buffer.concat(chunks);
          // A HEAD says the length of a body that it has not.
          response.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
          send(response, body, fault);
        });
      });
      forwarded.on("error", () => response.destroy());
      request.pipe(forwarded);
    });
  }

  /** Gives files by name, whole or in ranges, with an ETag. */
  static async files(
    files: ReadonlyMap<string, Uint8Array>,
    options: { readonly ranges?: boolean } = {},
  ): Promise<TestServer> {
    return TestServer.#start((request, response, fault) => {
      const bytes = files.get(decodeURIComponent(new URL(request.url ?? "", "http://here").pathname.slice(1)));
      if (!bytes) {
        response.writeHead(404).end();
        return;
      }
      const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      if (from === undefined || options.ranges === false) {
        response.writeHead(200, { etag, "content-length": bytes.length });
        send(response, bytes, fault);
        return;
      }
      if (Number(from) >= bytes.length) {
        response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
        return;
      }
      const body = bytes.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, {
        etag,
        "content-length": body.length,
        "content-range": `bytes ${from}-${Number(from) + body.length - 1}/${bytes.length}`,
      });
      send(response, body, fault);
    });
  }

  static async #start(answer: Answer): Promise<TestServer> {
    const server = new TestServer(answer);
    await new Promise<void>((listening) => server.#server.listen(0, "127.0.0.1", listening));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** bytes of bodies sent since the last `forget` */
  get sent(): number {
    return this.requests.reduce((sum, { sent }) => sum + sent, 0);
  }

  forget(): void {
    this.requests.length = 0;
    this.fault = () => undefined;
  }

  async close(): Promise<void> {
    for (const response of this.#stalled) response.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((closed) => this.#server.close(() => closed()));
  }
}

function send(response: ServerResponse, body: Uint8Array, fault: Fault | undefined): void {
  if (fault === undefined) {
    if (body.length > 0) response.write(body);
    response.end();
    return;
  }
  if (body.length > 1) response.write(body.subarray(0, body.length >> 1));
  if (fault === "truncate") setImmediate(() => response.destroy());
}
