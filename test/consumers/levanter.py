"""Parses an export to levanter with its own config class: python levanter.py FOLDER

Reads the file of the version that is installed. Prints one JSON line: the unit, the weights as parsed, and the sequences
of each domain in a block of the mixture as levanter counts it out. Sources are opened and their first document read;
nothing is tokenized.
"""

import json
import pathlib
import sys

import draccus
import yaml

sys.path.pop(0)  # this folder: the file bears the package's name

from levanter.data import text  # noqa: E402
from levanter.data.dataset import ListAsyncDataset  # noqa: E402
from levanter.data.mixture import MixtureDataset  # noqa: E402


def parsed(folder: pathlib.Path):
    """The configuration, and each source with the format of its documents."""
    if hasattr(text, "LmDataConfig"):
        given = yaml.safe_load((folder / "levanter.yaml").read_text())["data"]
        config = draccus.decode(text.LmDataConfig, given)
        return config, {name: (one.source, one.format) for name, one in config.components.items()}
    given = yaml.safe_load((folder / "levanter-1.2.yaml").read_text())["data"]
    config = draccus.decode(text.LMMixtureDatasetConfig, given)
    return config, {name: (one, one.format) for name, one in config.configs.items()}


def main(folder: pathlib.Path) -> dict:
    config, sources = parsed(folder)
    assert config.shuffle is False
    for source, format in sources.values():
        shards = source.get_shard_source("train")
        assert len(shards.shard_names) == len(source.train_urls)
        for shard in shards.shard_names:
            assert isinstance(next(iter(shards.open_shard(shard)))[format.text_key], str)
    mixture = MixtureDataset(
        {name: ListAsyncDataset([0]) for name in sources},
        config.train_weights,
        block_size=config.mixture_block_size,
        stop_strategy=config.stop_strategy,
        key=0,
    )
    counts = mixture._counts_per_block_per_stage[0]
    return {
        "unit": "sequences",
        "weights": dict(config.train_weights),
        "drawn": {name: int(counts[i]) for i, name in enumerate(mixture.dataset_index)},
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
