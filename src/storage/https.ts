/** Objects behind plain URLs. They can be read and not listed; what changes is known by the ETag of each answer. */
import { parseObjectUri, signedLocation } from "./location.ts";
import type { ObjectBackend } from "./object-backend.ts";
import { faultOfStatus, RemoteFault } from "./remote-failure.ts";

export const httpsBackend: ObjectBackend = {
  /** By a range of one byte: a signed URL may allow nothing else, and not every server answers HEAD. */
  async stat(uri, signal) {
    const answer = await get(uri, { range: "bytes=0-0" }, signal);
    await answer.body?.cancel();
    if (answer.status === 416) return { size: 0, version: versionOf(answer, 0) }; // no first byte
    const total = answer.status === 206 ? /\/(\d+)$/.exec(answer.headers.get("content-range") ?? "")?.[1] : undefined;
    if (total === undefined) {
      throw new RemoteFault(
        "refused",
        "the server does not give parts of files (no answer to a Range); fetch the file and give its path",
      );
    }
    return { size: Number(total), version: versionOf(answer, Number(total)) };
  },

  async read(uri, start, end, { size, version }, signal) {
    const answer = await get(uri, { range: `bytes=${start}-${end - 1}` }, signal);
    const total = Number(/\/(\d+)$/.exec(answer.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
    if (answer.status !== 206 || total !== size || versionOf(answer, total) !== version) {
      await answer.body?.cancel();
      throw new RemoteFault("changed", `HTTP ${answer.status}`);
    }
    const bytes = new Uint8Array(
      await answer.arrayBuffer().catch(() => {
        throw new RemoteFault("unavailable", "the answer ended early");
      }),
    );
    if (bytes.length !== end - start) throw new RemoteFault("unavailable", "the answer ended early");
    return bytes;
  },
};

async function get(uri: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  parseObjectUri(uri);
  const url = new URL(signedLocation(uri));
  const { username, password } = url;
  url.username = "";
  url.password = "";
  const user = username === "" ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const answer = await fetch(url, {
    headers: {
      ...headers,
      // bytes as they are stored
      "accept-encoding": "identity",
      ...(user !== undefined && { authorization: `Basic ${Buffer.from(user).toString("base64")}` }),
    },
    signal,
  }).catch((error: Error & { cause?: { code?: string } }) => {
    throw new RemoteFault("unavailable", error.cause?.code ?? "no connection");
  });
  if (answer.ok || answer.status === 416) return answer;
  await answer.body?.cancel();
  throw faultOfStatus(answer.status);
}

/** A server that says neither can change the file unnoticed, if its size stays. */
function versionOf({ headers }: Response, size: number): string {
  return headers.get("etag") ?? headers.get("last-modified") ?? `size-${size}`;
}
