/**
 * Patterns in which `{domain}` stands for the part of a path that names the domain: `corpus/{domain}/part-*`,
 * `{domain}-*.parquet`, `hive/domain={domain}/*`. Says which files match and what domain each one names.
 */
import picomatch from "picomatch";
import { DoremiError } from "../lib/errors.ts";
import { escapeLiterals } from "./glob.ts";
import type { Storage } from "./storage.ts";

export interface DomainFile {
  readonly path: string;
  /** null where the path says that there is none: `__HIVE_DEFAULT_PARTITION__`, or a pattern without `{domain}` */
  readonly domain: string | null;
}

const PLACE = "{domain}";
/** Letters only, so that no pattern syntax touches it. */
const MARK = "DOREMIxDOMAINxPLACE";
const HIVE_NULL = "__HIVE_DEFAULT_PARTITION__";

/**
 * Files that match, sorted by code unit of the path.
 * @throws DoremiError bad-pattern where `{domain}` stands in the pattern twice
 */
export async function expandPattern(storage: Storage, pattern: string): Promise<DomainFile[]> {
  const parts = pattern.split(PLACE);
  if (parts.length > 2) {
    throw new DoremiError(
      "bad-configuration",
      "bad-pattern",
      `pattern ${pattern}: {domain} may stand in it once, found ${parts.length - 1} times; replace the others by *`,
    );
  }
  const paths = await storage.list(parts.join("*"));
  if (parts.length === 1) return paths.map((path) => ({ path, domain: null }));
  const match = domainMatcher(pattern);
  return paths.flatMap((path) => {
    const domain = match(path);
    return domain === undefined ? [] : [{ path, domain }];
  });
}

/** From a path, the domain it names; undefined where the path does not match. */
export function domainMatcher(pattern: string): (path: string) => string | null | undefined {
  const [before = "", after = ""] = withoutDotSlash(pattern).split(PLACE);
  // Hive writers percent-encode the value of key=value; elsewhere a percent sign is part of the name.
  const isHive = /(^|\/)[^/]*=$/.test(before) && (after === "" || after.startsWith("/"));
  const whole = picomatch.makeRe(escapeLiterals(`${before}${MARK}${after}`), { dot: true }).source;
  // After `*` the domain is as long as it can be, before one it is as short as it can be: `{domain}-*` cuts at the first dash.
  const regex = new RegExp(whole.replace(MARK, "(?<domain>[^/]+?)"));
  return (path) => {
    const name = regex.exec(withoutDotSlash(path))?.groups?.domain;
    if (name === undefined || !isHive) return name;
    return name === HIVE_NULL ? null : percentDecoded(name);
  };
}

/** picomatch drops a leading "./" of the pattern, so it has to go from the path as well. */
function withoutDotSlash(path: string): string {
  return path.replace(/^(\.\/)+/, "");
}

function percentDecoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
