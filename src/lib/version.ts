/** This package's name and version, as results record them. */
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  name: string;
  version: string;
};

export const VERSION = manifest.version;
export const GENERATOR = `${manifest.name}@${manifest.version}`;
