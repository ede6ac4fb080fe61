/**
 * Locations: paths of this machine, and URIs of objects (`s3://bucket/key`, `gs://`, `az://container/key`, `https://`).
 * Says which is which and puts them together; reads nothing. A key is taken as it is written: `#`, `?`, `%` and spaces
 * are characters of it, where a path of an https URI is percent-encoded and ends before its query.
 */
import { dirname, join, resolve } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { relativePath } from "../lib/relative-path.ts";

export type RemoteScheme = "s3" | "gs" | "az" | "https" | "http";

const REMOTE = /^(s3|gs|az|https?):\/\//i;

export function isRemote(location: string): boolean {
  return REMOTE.test(location);
}

export interface ObjectUri {
  readonly scheme: RemoteScheme;
  /** scheme and bucket, container or host: `s3://bucket` */
  readonly store: string;
  /** the bucket, container or host (with its port) */
  readonly bucket: string;
  /** what follows the bucket's slash, "" where nothing does; of an https URI without its query */
  readonly key: string;
}

/** @throws DoremiError bad-uri */
export function parseObjectUri(uri: string): ObjectUri {
  const [, scheme = "", bucket = "", key = ""] = /^(\w+):\/\/([^/]*)\/?([\s\S]*)$/.exec(uri) ?? [];
  const lower = scheme.toLowerCase() as RemoteScheme;
  if (bucket === "") throw badUri(uri, `must name a bucket, as in ${lower}://bucket/folder/file.parquet`);
  if (lower === "http" || lower === "https") return parseUrl(uri, lower);
  // The client takes such keys for others: empty parts would be left out.
  if (key.startsWith("/") || key.includes("//") || key !== key.trim()) {
    throw badUri(
      uri,
      "must be a key without empty parts or spaces at its ends; such objects are not read. Copy it to another key",
    );
  }
  return { scheme: lower, store: `${lower}://${bucket}`, bucket, key };
}

function parseUrl(uri: string, scheme: "http" | "https"): ObjectUri {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    throw badUri(uri, "must be a URL, as in https://host/file.parquet");
  }
  // Text and credentials would go through networks in the clear, and nothing would tell what was changed on its way.
  if (scheme === "http" && !isLoopback(url.hostname))
    throw badUri(uri, "http:// is read from this machine alone (localhost); use https://");
  return { scheme, store: `${scheme}://${url.host}`, bucket: url.host, key: url.pathname.slice(1) };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function badUri(uri: string, rule: string): DoremiError {
  const shown = shownLocation(uri);
  return new DoremiError("bad-configuration", "bad-uri", `${shown}: ${rule}`, { file: shown });
}

/** Of a URL's query: what gives access, or says how long. */
const SECRET =
  /^(x-(amz|goog|ms|oss)-|sig(nature)?$|.*token|.*key(-?id|-pair-id)?$|googleaccessid$|.*secret|.*password|policy$)/i;

/**
 * The location without what is nobody's business: a URL's user and password, and a query that signs it. This is what is
 * printed and written; what is read is in `signedUrl`. Anything but a URL is returned as it is.
 */
export function publicLocation(location: string): string {
  if (!/^https?:\/\//i.test(location)) return location;
  let url: URL;
  try {
    url = new URL(location);
  } catch {
    return location.replace(/\/\/[^/]*@/, "//").replace(/[?#][\s\S]*$/, "");
  }
  url.username = "";
  url.password = "";
  url.hash = "";
  if ([...url.searchParams.keys()].some((name) => SECRET.test(name))) url.search = "";
  return url.href;
}

/** For messages: without any query. */
export function shownLocation(location: string): string {
  return /^https?:\/\//i.test(location) ? publicLocation(location).replace(/\?[\s\S]*$/, "") : location;
}

/** The URLs that were given with credentials, by what is public of them; in memory alone, of this thread. */
const signed = new Map<string, string>();

/** Remembers what may not be written down. @returns the public location */
export function rememberSigned(location: string): string {
  const shown = publicLocation(location);
  if (shown !== location) signed.set(shown, location);
  return shown;
}

/** What is to be read for a location: with the credentials that it was given with, where this thread knows them. */
export function signedLocation(location: string): string {
  return signed.get(location) ?? location;
}

/** A path of a `file://` URI; anything else is returned as it is. */
export function withoutFileScheme(location: string): string {
  return /^file:\/\//i.test(location) ? decodeURIComponent(location.slice("file://".length)) : location;
}

/** An absolute path, or the URI itself. @param base what a relative path starts from: a folder, or a URI */
export function resolveLocation(base: string, location: string): string {
  if (isRemote(location)) return location;
  const path = withoutFileScheme(location);
  if (!isRemote(base) || path.startsWith("/")) return resolve(isRemote(base) ? "/" : base, path);
  const [, store = "", key = ""] = /^(\w+:\/\/[^/]+)\/?([\s\S]*)$/.exec(base) ?? [];
  const parts = key.split("/").filter((part) => part !== "");
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.length === 0 ? store : `${store}/${parts.join("/")}`;
}

/** Absolute path of a folder of this machine. @throws DoremiError bad-output where a URI is given */
export function localFolder(output: string, command: string): string {
  if (!isRemote(output)) return resolve(output);
  const shown = shownLocation(output);
  throw new DoremiError(
    "usage",
    "bad-output",
    `${shown}: ${command} writes into a folder of this machine; name one as --output, and copy it there when it is done`,
    { file: shown },
  );
}

/** `path` below `folder`; a URI stays what it is. */
export function joinLocation(folder: string, path: string): string {
  if (isRemote(path)) return path;
  return isRemote(folder) ? `${folder.replace(/\/+$/, "")}/${path}` : join(folder, ...path.split("/"));
}

/** Where a shard of a list is read: as joinLocation, with the credentials that its URL was given with. */
export function locate(root: string, path: string): string {
  return signedLocation(joinLocation(root, path));
}

/** The folder that a file lies in. */
export function folderOf(location: string): string {
  if (!isRemote(location)) return dirname(location);
  const at = location.replace(/\?.*$/, "").lastIndexOf("/");
  return location.slice(0, Math.max(at, location.indexOf("://") + 3));
}

/** How a file names another: relative to the folder, or by its URI. */
export function relativeLocation(folder: string, location: string): string {
  if (isRemote(location)) return location;
  return isRemote(folder) ? location : relativePath(folder, location);
}
