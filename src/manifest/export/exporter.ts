/**
 * The contract of an exporter: from a manifest, and where the stack needs it a materialized set, to the configuration
 * files of one training stack, in the unit that the stack samples in. Pure: it writes nothing.
 */
import type { Manifest } from "../contract.ts";
import type { MaterializedSet, OutputFormatName } from "../materialized.ts";

export interface ExportRequest {
  readonly manifest: Manifest;
  /** absolute path of manifest.json */
  readonly manifestPath: string;
  /** absolute folder that the manifest's files lie in */
  readonly root: string;
  /** absolute folder that the files are going to stand in; paths that a stack reads relative to its file start there */
  readonly target: string;
  /** the documents in the stack's own format; null where none was given */
  readonly data: { readonly folder: string; readonly set: MaterializedSet } | null;
  /** tokens of a training sequence, for stacks that ask; null = not given */
  readonly sequenceLength: number | null;
  /** domains without weight that the user wants left out, for stacks that would misread a weight of zero */
  readonly leaveOut: readonly string[];
  /** manifest.json itself; `time` is when it was written, ISO 8601: exporting twice gives the same bytes */
  readonly manifestFile: { readonly sha256: string; readonly size: number; readonly time: string };
  /** of the selection, in bytes */
  readonly selectionSize: number;
}

export interface ExportedFile {
  /** relative to the target, with `/` between its parts */
  readonly path: string;
  readonly text: string;
}

export interface ExportedConfiguration {
  readonly files: readonly ExportedFile[];
  /** what the stack was told, by domain, in its own unit */
  readonly proportions: Readonly<Record<string, number>>;
  /** how the files are used, and what the stack does differently from the manifest: whole sentences */
  readonly notes: readonly string[];
}

export interface Exporter {
  /** on the command line: `megatron` */
  readonly stack: string;
  /** for people: `Megatron-LM, NeMo` */
  readonly title: string;
  /** what the stack's proportions are shares of */
  readonly unit: "tokens" | "sequences" | "documents";
  /** formats of a materialized set that the stack can read, that which is advised first */
  readonly reads: readonly OutputFormatName[];
  /** false: `data` may be null, and the manifest's own files are named */
  readonly needsData: boolean;
  /** names of the files that an export may write */
  readonly writes: readonly string[];
  /** @throws DoremiError for what the stack would misread: who, rule, found, remedy */
  export(request: ExportRequest): ExportedConfiguration;
}
