/** Paths and commands as they are shown to a person and taken from one. */
import { accessSync, constants } from "node:fs";
import { stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { programPaths } from "../lib/program-paths.ts";
import { isRemote, shownLocation } from "../storage/location.ts";
import { printable } from "./table.ts";

/** Relative where that stays below the current folder. */
export function shownPath(path: string): string {
  if (isRemote(path)) return printable(shownLocation(path));
  const short = relative(process.cwd(), resolve(path));
  return printable(short === "" || short.startsWith("..") ? path : short);
}

/** A manifest that is named by itself, or by the output folder of the run that wrote it. @throws DoremiError no-manifest */
export async function manifestPath(given: string): Promise<string> {
  const isFolder = !isRemote(given) && (await stat(given).catch(() => undefined))?.isDirectory();
  if (!isFolder) return given;
  const path = join(given, "resample", "manifest.json");
  if (await stat(path).catch(() => undefined)) return path;
  throw new DoremiError(
    "missing-input",
    "no-manifest",
    `${given}: must be a manifest.json, or the output folder of a run that has resampled; this folder has no resample/manifest.json`,
    { file: given },
  );
}

/** As a POSIX shell takes it. */
export function quotedPath(path: string): string {
  const shown = shownPath(path);
  return /^[\w./:@%+=,-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

/** What to type for `doremi`: in a clone that was not linked there is no such command. */
export function ownCommand(path = process.env.PATH, script = process.argv[1] ?? "doremi"): string {
  return programPaths("doremi", path).some(isExecutable) ? "doremi" : `node ${quotedPath(script)}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
