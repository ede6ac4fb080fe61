"""Reads an export to Megatron-LM or to NeMo with megatron-core's own parser: python nemo.py FOLDER

Prints one JSON line: the unit, the weight of each prefix's folder, summed over its shards and normalised as
megatron-core does, and the sequences that its blend of 10,000 takes of each. All files of the folder that hold the blend must agree, and the config must take it.
"""

import collections
import json
import pathlib
import sys
import warnings

import numpy
import yaml

warnings.filterwarnings("ignore")
sys.path.pop(0)  # this folder: a file bears the package's name

from megatron.core.datasets import helpers  # noqa: E402
from megatron.core.datasets.blended_megatron_dataset_config import BlendedMegatronDatasetConfig  # noqa: E402
from megatron.core.datasets.utils import get_blend_from_list, normalize  # noqa: E402


def blends(folder: pathlib.Path):
    """As each program reads its file: Megatron-LM splits at white space, NeMo hands on the list."""
    if (path := folder / "blend.txt").exists():
        yield get_blend_from_list(path.read_text().split())
    if (path := folder / "per-split.json").exists():
        splits = json.loads(path.read_text())
        per_split = [get_blend_from_list(splits[name]) for name in ("train", "valid", "test")]
        BlendedMegatronDatasetConfig(random_seed=1, sequence_length=64, blend_per_split=per_split)
        yield per_split[0]
    if (path := folder / "nemo.yaml").exists():
        settings = yaml.safe_load(path.read_text())
        blend = get_blend_from_list(settings["paths"])
        BlendedMegatronDatasetConfig(random_seed=settings["seed"], sequence_length=64, blend=blend, split=settings["split"])
        yield blend
    if (path := folder / "megatron-bridge.yaml").exists():
        settings = yaml.safe_load(path.read_text())["dataset"]
        blend = tuple(settings["blend"])
        BlendedMegatronDatasetConfig(
            random_seed=settings["random_seed"], sequence_length=64, blend=blend, split=settings["split"]
        )
        yield blend


def main(folder: pathlib.Path) -> dict:
    found = list(blends(folder))
    assert found and all(list(map(list, blend)) == list(map(list, found[0])) for blend in found), found
    prefixes, weights = found[0]
    shares: dict[str, float] = {}
    for prefix, weight in zip(prefixes, normalize(weights), strict=True):
        for ending in (".bin", ".idx"):
            assert pathlib.Path(prefix + ending).exists(), prefix + ending
        name = pathlib.Path(prefix).parent.name
        shares[name] = shares.get(name, 0.0) + weight
    # The blend itself, by megatron-core's own code: so many sequences of each prefix.
    size = 10_000
    of, index = numpy.zeros(size, numpy.int16), numpy.zeros(size, numpy.int64)
    helpers.build_blending_indices(of, index, numpy.array(normalize(weights)), len(prefixes), size, False)
    drawn = collections.Counter(pathlib.Path(prefixes[i]).parent.name for i in of)
    return {"unit": "sequences", "weights": shares, "drawn": dict(drawn), "files": len(found)}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
