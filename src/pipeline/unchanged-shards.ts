/**
 * Are the shards still what was counted? Asked before a stage that used the counts puts its results in place: a shard that
 * was written over meanwhile would make them claim what nobody can find again.
 */
import { DoremiError } from "../lib/errors.ts";
import { sha256File } from "../lib/hash.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import { readCountedShards } from "../stages/count/counted-shards.ts";
import type { DiscoverOutput } from "../stages/discover/contract.ts";
import { readShards } from "../stages/discover/run.ts";
import { throwIfAborted } from "../stages/pool.ts";
import { storage } from "../storage/files.ts";
import { isRemote, locate } from "../storage/location.ts";
import type { OutputFolder } from "./output-folder.ts";
import type { Outputs } from "./runner.ts";

/** files whose size and time are asked for at once */
const STATS = 64;

/**
 * Looks at the files of this machine: at their times, and where these differ at their bytes. Objects are asked for in the
 * version that was counted whenever they are read.
 *
 * @throws DoremiError shard-changed, missing-file
 */
export async function refuseChangedShards(outputs: Outputs, folder: OutputFolder, signal: AbortSignal): Promise<void> {
  const discovered = outputs.discover as DiscoverOutput;
  const counted = outputs.count as CountOutput;
  const shards = await readCountedShards(folder.folderOf("count"), counted.shards);
  const found = await readShards(folder.folderOf("discover"), discovered.shards);
  const versions = new Map(found.map(({ path, version }) => [path, version]));
  const local = shards.filter(({ path }) => !isRemote(path));
  for (let at = 0; at < local.length; at += STATS) {
    throwIfAborted(signal);
    const some = local.slice(at, at + STATS);
    const states = await Promise.all(some.map(({ path }) => storage.stat(locate(discovered.root, path))));
    for (const [i, { path, size, sha256 }] of some.entries()) {
      if (states[i]!.version === versions.get(path)) continue;
      const file = locate(discovered.root, path);
      // Of a link or another mode it is the same bytes still.
      if (states[i]!.size !== size || (await sha256File(file, signal)) !== sha256) throw changed(file);
    }
  }
}

function changed(file: string): DoremiError {
  return new DoremiError(
    "bad-data",
    "shard-changed",
    `${file}: must stay as it was counted until the run is done, and was written to; run the same command again, which counts it anew`,
    { file },
  );
}
