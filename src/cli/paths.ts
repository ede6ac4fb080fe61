/** Paths as they are shown to a person. */
import { relative, resolve } from "node:path";
import { isRemote, shownLocation } from "../storage/location.ts";
import { printable } from "./table.ts";

/** Relative where that stays below the current folder. */
export function shownPath(path: string): string {
  if (isRemote(path)) return printable(shownLocation(path));
  const short = relative(process.cwd(), resolve(path));
  return printable(short === "" || short.startsWith("..") ? path : short);
}

/** As a POSIX shell takes it. */
export function quotedPath(path: string): string {
  const shown = shownPath(path);
  return /^[\w./:@%+=,-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}
