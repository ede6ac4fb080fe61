/**
 * LitGPT: a Python data module over litdata's chunks. The combined dataset draws blocks of the sequence's length, cut
 * from the ids of a folder; a folder that has run out is not read again before the next epoch.
 */
import { mixtureOf } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { pythonList, pythonModule } from "./python.ts";

export const litgpt: Exporter = {
  stack: "litgpt",
  title: "LitGPT (litdata)",
  unit: "sequences",
  reads: ["litdata"],
  needsData: true,
  writes: ["doremi_litgpt.py"],
  export(request) {
    const { manifest } = request;
    const mixture = mixtureOf(litgpt, request, { draw: "written-ids", repeatsItself: false });
    const streams = mixture.components.map(({ domain, folder, share }) => ({
      domain: domain ?? manifest.name,
      folder,
      weight: share,
    }));
    return {
      files: [{ path: "doremi_litgpt.py", text: moduleText(manifest.seed, streams, mixture.set.layout === "mixed") }],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "Put doremi_litgpt.py on PYTHONPATH and give --data doremi_litgpt.DoremiMixture to litgpt pretrain, with --data.val_path for a validation set of yours; without one it validates on the training set, as LitGPT's LitData does.",
        "An epoch ends when the first domain runs out, which the weights bring about for all at nearly the same time.",
      ],
    };
  },
};

function moduleText(seed: number, streams: readonly object[], mixed: boolean): string {
  return pythonModule(
    "The mixture as a data module of LitGPT.",
    `from dataclasses import dataclass, field
from typing import Optional

from litgpt.data import DataModule
from torch.utils.data import DataLoader

# weights are shares of blocks
STREAMS = ${pythonList(streams)}


@dataclass
class DoremiMixture(DataModule):
    val_path: Optional[str] = None
    """Folder of litdata's chunks to validate on; None: the training set."""
    seed: int = ${seed}
    num_workers: int = 8

    batch_size: int = field(init=False, repr=False, default=1)
    seq_length: int = field(init=False, repr=False, default=2048)

    def __post_init__(self) -> None:
        super().__init__()

    def connect(self, tokenizer=None, batch_size: int = 1, max_seq_length: Optional[int] = None, **kwargs) -> None:
        self.batch_size = batch_size
        self.seq_length = max_seq_length + 1  # the next token of the last one

    def train_dataset(self):
        from litdata.streaming import CombinedStreamingDataset

        datasets = [self._stream(stream["folder"], shuffle=${mixed ? "False" : "True"}) for stream in STREAMS]
        if len(datasets) == 1:
            return datasets[0]
        weights = [stream["weight"] for stream in STREAMS]
        return CombinedStreamingDataset(datasets, seed=self.seed, weights=weights, iterate_over_all=False)

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.train_dataset())

    def val_dataloader(self) -> DataLoader:
        if self.val_path is None:
            return self.train_dataloader()
        return self._loader(self._stream(self.val_path, shuffle=False))

    def _stream(self, folder: str, shuffle: bool):
        from litdata.streaming import StreamingDataset, TokensLoader

        loader = TokensLoader(block_size=self.seq_length)
        return StreamingDataset(input_dir=folder, item_loader=loader, shuffle=shuffle, drop_last=True, seed=self.seed)

    def _loader(self, dataset) -> DataLoader:
        from litdata.streaming import StreamingDataLoader

        return StreamingDataLoader(
            dataset, batch_size=self.batch_size, pin_memory=True, num_workers=self.num_workers, drop_last=True
        )
`,
  );
}
