"""Parses an export to levanter with its own config class: python levanter.py FOLDER

Prints one JSON line: the unit, the weights as parsed, and the share of each domain in a block of the mixture as levanter
counts it out, in whole sequences. Sources are opened and their first document read, nothing is tokenized.
"""

import json
import pathlib
import sys

import draccus
import yaml

sys.path.pop(0)  # this folder: the file bears the package's name

from levanter.data.dataset import ListAsyncDataset  # noqa: E402
from levanter.data.mixture import MixtureDataset  # noqa: E402
from levanter.data.text import LMMixtureDatasetConfig  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    config = draccus.decode(LMMixtureDatasetConfig, yaml.safe_load((folder / "levanter.yaml").read_text())["data"])
    for source in config.configs.values():
        shards = source.get_shard_source("train")
        assert len(shards.shard_names) == len(source.train_urls)
        for shard in shards.shard_names:
            assert isinstance(next(iter(shards.open_shard(shard)))[source.format.text_key], str)
    mixture = MixtureDataset(
        {name: ListAsyncDataset([0]) for name in config.configs},
        config.train_weights,
        block_size=config.mixture_block_size,
        stop_strategy=config.stop_strategy,
        key=0,
    )
    counts = mixture._counts_per_block_per_stage[0]
    return {
        "unit": "sequences",
        "weights": dict(config.train_weights),
        "block": {name: int(counts[i]) for i, name in enumerate(mixture.dataset_index)},
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
