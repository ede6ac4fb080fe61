/** What is asked of a kind of store: one request at a time. Repeating, limits and patterns are object-storage.ts's. */
import type { FileStat } from "./storage.ts";

/** What a kind of store can do, one request each. Fails with a RemoteFault. */
export interface ObjectBackend {
  stat(uri: string, signal: AbortSignal): Promise<FileStat>;
  /** Bytes start..end (exclusive), exactly, of the object in this version. */
  read(uri: string, start: number, end: number, known: FileStat, signal: AbortSignal): Promise<Uint8Array>;
  /** All objects whose keys begin so. */
  list?(prefix: string): Promise<{ readonly uri: string; readonly stat: FileStat }[]>;
  /** Puts an object whole, in place of what was there. */
  write?(uri: string, content: Buffer): Promise<void>;
  /** The same with a file's content, in parts where it is large; whole or not at all. */
  upload?(uri: string, path: string, size: number, signal: AbortSignal): Promise<void>;
  /** Also where there is none. */
  remove?(uri: string): Promise<void>;
}
