/**
 * The contract of a format that documents are materialized in: shards of documents in order, written one by one in a
 * worker thread, and the files that make a set of them. A format knows nothing of manifests being read or of other shards.
 */
import type { Manifest } from "../../manifest/contract.ts";
import type { MaterializedGroup, MaterializedSet, OutputFormatName } from "../../manifest/materialized.ts";

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
  readonly vocabularySize: number;
  /** id that stands behind every document; null = none */
  readonly separator: number | null;
}

export interface OutputShardWriter {
  write(document: OutputDocument): void | Promise<void>;
  /** Puts all files in place, whole and durable; names relative to the folder, in a fixed order. */
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
  openShard(request: OutputShardRequest): Promise<OutputShardWriter>;
  /** Files of one group beside its shards, such as an index of them; paths relative to the set's folder. */
  groupFiles?(group: MaterializedGroup, set: MaterializedSet, folder: string): Promise<readonly SetFile[]>;
  /** Files of the whole set, such as a dataset card. */
  setFiles?(set: MaterializedSet, manifest: Manifest, folder: string): Promise<readonly SetFile[]>;
}
