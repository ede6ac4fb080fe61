/**
 * MosaicML Streaming: a stream for each domain with the number of its samples in an epoch. A sample of a materialized MDS
 * is a document, so the numbers are the manifest's own, exact, and nothing is converted.
 */
import { mixtureOf } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { yamlText } from "./yaml.ts";

export const streaming: Exporter = {
  stack: "streaming",
  title: "MosaicML Streaming",
  unit: "documents",
  reads: ["mds"],
  needsData: true,
  writes: ["streaming.yaml"],
  export(request) {
    const { manifest } = request;
    const mixture = mixtureOf(streaming, request, { draw: "document", repeatsItself: true });
    const selected = new Map(manifest.domains.map((domain) => [domain.name, domain.selectedDocuments]));
    const streams = mixture.components.map(({ domain, folder, group }) => ({
      name: domain ?? manifest.name,
      stream: { local: folder, choose: domain === null ? group.documents : selected.get(domain)! },
    }));
    const total = streams.reduce((sum, { stream }) => sum + stream.choose, 0);
    const mixed = mixture.set.layout === "mixed";
    return {
      files: [
        {
          path: "streaming.yaml",
          text: yamlText(
            [
              "Arguments of streaming.StreamingDataset; `streams` by name, as llm-foundry takes them:",
              "StreamingDataset(**{**config, 'streams': [Stream(**s) for s in config['streams'].values()]}, batch_size=…)",
            ],
            {
              streams: Object.fromEntries(streams.map(({ name, stream }) => [name, stream])),
              shuffle: !mixed,
              // NumPy takes no more than 32 bits of it.
              shuffle_seed: manifest.seed % 2 ** 32,
            },
          ),
        },
      ],
      proportions: mixed
        ? mixture.proportions
        : Object.fromEntries(streams.map(({ name, stream }) => [name, stream.choose / total])),
      notes: [
        ...mixture.notes.slice(mixed ? 0 : 1),
        mixed
          ? "shuffle is off, so that the samples come in the manifest's order; how they are dealt to devices is the stack's num_canonical_nodes."
          : `choose is the manifest's number of documents, repeats included: an epoch is the manifest's ${total} documents. What a number is beyond whole passes the stack picks at random, anew in each epoch.`,
      ],
    };
  },
};
