/**
 * Storage over object stores and plain URLs: one client for each bucket, container or host, made when it is first asked
 * for, and of each thread its own.
 */
import picomatch from "picomatch";
import { DoremiError } from "../lib/errors.ts";
import { escapeLiterals, hiddenFilter, splitPattern } from "./glob.ts";
import { httpsBackend } from "./https.ts";
import { type ObjectUri, parseObjectUri, publicLocation, rememberSigned, shownLocation } from "./location.ts";
import type { ObjectBackend } from "./object-backend.ts";
import { ObjectFile } from "./object-file.ts";
import { opendalBackend } from "./opendal.ts";
import { Requests } from "./requests.ts";
import type { FileStat, RandomAccessFile, Storage } from "./storage.ts";

export class ObjectStorage implements Storage {
  readonly #backends = new Map<string, ObjectBackend>();
  readonly #requests: Requests;
  /** what a listing said, until it is asked for: a request less for each object */
  readonly #listed = new Map<string, FileStat>();

  constructor(requests = new Requests()) {
    this.#requests = requests;
  }

  /** @throws DoremiError missing-file, missing-bucket, no-permission, no-credentials, unavailable; bad-uri */
  async stat(uri: string): Promise<FileStat> {
    const listed = this.#listed.get(uri);
    this.#listed.delete(uri);
    if (listed) return listed;
    const backend = this.#backendOf(uri);
    return this.#requests.send(uri, (signal) => backend.stat(uri, signal));
  }

  /** @throws DoremiError as stat; reading also file-changed */
  async open(uri: string, known?: FileStat): Promise<RandomAccessFile> {
    const backend = this.#backendOf(uri);
    const found = known ?? (await this.stat(uri));
    return new ObjectFile(shownLocation(uri), found, (start, end) =>
      this.#requests.send(uri, (signal) => backend.read(uri, start, end, found, signal)),
    );
  }

  /** URIs as they are written; without credentials, which are remembered. @throws DoremiError as stat; bad-pattern */
  async list(pattern: string): Promise<string[]> {
    const { scheme, store } = parseObjectUri(pattern);
    const backend = this.#backendOf(pattern);
    if (!backend.list) {
      if (/[*]/.test(publicLocation(pattern).replace(/\?.*$/, ""))) throw notListed(pattern, scheme);
      return [rememberSigned(pattern)];
    }
    const key = pattern.slice(store.length + 1);
    const { base, rest } = splitPattern(key);
    if (rest === "") return (await this.#isThere(pattern)) ? [pattern] : [];
    // A pattern without a folder narrows the listing no less: `part-*` begins with `part-`.
    const fixed = base + /^[^*?[\]{}\\]*/.exec(rest)![0];
    const listing = backend.list;
    const found = await this.#requests.send(pattern, () => listing(fixed));
    const isMatch = picomatch(escapeLiterals(rest), { dot: true });
    const isShown = hiddenFilter(rest);
    const matching = found.filter(({ uri }) => {
      const name = uri.slice(store.length + 1);
      if (name === key) return true; // an object of exactly this name matches itself
      return name.startsWith(base) && isMatch(name.slice(base.length)) && isShown(name.slice(base.length));
    });
    for (const { uri, stat } of matching) this.#listed.set(uri, stat);
    return matching.map(({ uri }) => uri).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  async #isThere(uri: string): Promise<boolean> {
    try {
      this.#listed.set(uri, await this.stat(uri));
      return true;
    } catch (error) {
      if (error instanceof DoremiError && error.code === "missing-file") return false;
      throw error;
    }
  }

  /** All objects whose keys begin so, by URI. */
  async listAll(prefix: string): Promise<ReadonlyMap<string, FileStat>> {
    const { store } = parseObjectUri(prefix);
    const { list } = this.#writable(prefix);
    const found = await this.#requests.send(prefix, () => list(prefix.slice(store.length + 1)));
    return new Map(found.map(({ uri, stat }) => [uri, stat]));
  }

  /** Puts an object whole; it stands there when this returns, and before it what stood there. @throws as stat */
  async write(uri: string, content: Buffer): Promise<void> {
    const { write } = this.#writable(uri);
    await this.#requests.send(uri, () => write(uri, content), content.length);
  }

  /** The same with the content of a file of this machine. @param size of it, bytes */
  async upload(path: string, uri: string, size: number): Promise<FileStat> {
    const { upload, stat } = this.#writable(uri);
    await this.#requests.send(uri, (signal) => upload(uri, path, size, signal), size);
    const found = await this.#requests.send(uri, (signal) => stat(uri, signal));
    if (found.size === size) return found;
    throw new DoremiError(
      "unavailable",
      "unavailable",
      `${uri}: has ${found.size} bytes after ${size} were put there; does another run write to it?`,
      { file: uri },
    );
  }

  /** Takes an object away, if it is there. @throws as stat */
  async remove(uri: string): Promise<void> {
    const { remove } = this.#writable(uri);
    await this.#requests.send(uri, () => remove(uri));
  }

  #writable(uri: string): Required<ObjectBackend> {
    const backend = this.#backendOf(uri);
    if (!backend.upload) throw notWritten(uri);
    return backend as Required<ObjectBackend>;
  }

  #backendOf(uri: string): ObjectBackend {
    const parsed = parseObjectUri(uri);
    const made = this.#backends.get(parsed.store);
    if (made) return made;
    const backend = backendFor(parsed);
    this.#backends.set(parsed.store, backend);
    return backend;
  }
}

function backendFor(uri: ObjectUri): ObjectBackend {
  return uri.scheme === "http" || uri.scheme === "https" ? httpsBackend : opendalBackend(uri);
}

function notListed(pattern: string, scheme: string): DoremiError {
  const shown = shownLocation(pattern);
  return new DoremiError(
    "bad-configuration",
    "bad-pattern",
    `${shown}: files behind ${scheme}:// can't be listed, so there are no patterns (* and {domain}); name each file, under its domain in data.domains`,
    { file: shown },
  );
}

function notWritten(uri: string): DoremiError {
  const shown = shownLocation(uri);
  return new DoremiError(
    "usage",
    "bad-output",
    `${shown}: results are written to s3://, gs://, az:// or a local folder`,
    {
      file: shown,
    },
  );
}
