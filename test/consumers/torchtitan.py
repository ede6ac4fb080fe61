"""Reads an export to torchtitan with its own loader: python torchtitan.py FOLDER

Prints one JSON line: the unit, the probabilities that its InterleavedDataset draws by, and how many sequences of each
source it drew among the first thousand. A tokenizer of a token per word stands in for the trainer's.
"""

import collections
import itertools
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
folder = pathlib.Path(sys.argv[1]).resolve()
sys.path[0] = str(folder)  # in place of this folder, whose file bears the package's name

import doremi_torchtitan  # noqa: E402
from torchtitan.hf_datasets.text_datasets import InterleavedHuggingFaceTextDataLoader  # noqa: E402


class Words:
    """Word numbers from 2 up, between the ids 0 and 1."""

    def encode(self, text, add_bos, add_eos):
        return [0] * add_bos + [2 + len(word) % 50 for word in text.split()] + [1] * add_eos


def main() -> dict:
    config = doremi_torchtitan.dataloader()
    loader = InterleavedHuggingFaceTextDataLoader(
        config, dp_world_size=1, dp_rank=0, tokenizer=Words(), seq_len=32, local_batch_size=1
    )
    dataset = loader.dataset
    names = [source["domain"] for source in doremi_torchtitan.SOURCES]
    drawn = collections.Counter()
    for name, source in zip(names, dataset._datasets, strict=True):
        source.drawn = name
        forward = source.__iter__

        def counted(forward=forward, name=name):
            for sequence in forward():
                drawn[name] += 1
                yield sequence

        source.counted = counted
    dataset._datasets = [Counted(source) for source in dataset._datasets]
    for inputs, labels in itertools.islice(dataset, 1000):
        assert inputs["input"].shape == labels.shape == (32,)
    return {"unit": "sequences", "weights": dict(zip(names, dataset._probs, strict=True)), "drawn": dict(drawn)}


class Counted:
    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return self.source.counted()


if __name__ == "__main__":
    print(json.dumps(main()))
