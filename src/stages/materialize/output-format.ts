/**
 * The contract of a format that documents are materialized in: shards of documents in order, written one by one in a
 * worker thread, and the files that make a set of them. A format knows nothing of manifests being read or of other shards.
 */
import type { Manifest } from "../../manifest/contract.ts";
import type { Compression, MaterializedGroup, MaterializedSet, OutputFormatName } from "../../manifest/materialized.ts";

export interface OutputDocument {
  readonly domain: string;
  /** 0-based pass over the domain */
  readonly epoch: number;
  /** ManifestFile.path */
  readonly file: string;
  /** from the start of the file */
  readonly row: number;
  /** as the manifest counts them */
  readonly tokens: number;
  /** UTF-8; empty where the format's content is "ids" */
  readonly text: Uint8Array;
  /** without a separator; empty where the format's content is "text". Both are views: copy what is kept */
  readonly ids: Uint32Array;
}

export interface OutputShardRequest {
  /** absolute; exists */
  readonly folder: string;
  /** of the group's shards, from 0 */
  readonly index: number;
  /** tells names apart: part-00000 */
  readonly name: string;
  /** exactly as many will be written: a format whose offsets stand before its documents leaves the room for them */
  readonly documents: number;
  readonly vocabularySize: number;
  /** id that stands behind every document; null = none. It is the format's to write */
  readonly separator: number | null;
  /** one of the format's `compressions`; null where it has none to choose from */
  readonly compression: Compression | null;
}

export interface OutputShardWriter {
  write(document: OutputDocument): void | Promise<void>;
  /** Puts all files in place, whole and durable, over what is there of their names; names relative to the folder, in a fixed order. */
  finish(): Promise<readonly string[]>;
  /** Leaves nothing behind. */
  discard(): Promise<void>;
}

export interface SetFile {
  /** relative to the set's folder, with `/` between its parts */
  readonly path: string;
  readonly content: string;
}

export interface OutputFormat {
  readonly name: OutputFormatName;
  readonly content: "text" | "ids";
  /** bytes of an id, by vocabulary; only where the content is "ids" */
  idBytes?(vocabularySize: number): 2 | 4;
  /** what its files can be compressed with, its default first; absent: nothing to choose */
  readonly compressions?: readonly Compression[];
  /** of a shard's files together, where offsets of the format are too narrow for more; absent: no limit */
  readonly maxShardBytes?: number;
  /** why documents cannot be told apart without an id behind each; absent: they can */
  readonly needsSeparator?: string;
  openShard(request: OutputShardRequest): Promise<OutputShardWriter>;
  /**
   * Files of one group beside its shards, such as an index of them; paths relative to the set's folder, which the group's
   * own folder is in. Called when all shards are there; the same input gives the same files.
   */
  groupFiles?(group: MaterializedGroup, set: MaterializedSet, folder: string): Promise<readonly SetFile[]>;
  /** Files of the whole set, such as a dataset card. */
  setFiles?(set: MaterializedSet, manifest: Manifest, folder: string): Promise<readonly SetFile[]>;
}
