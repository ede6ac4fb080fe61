"""Mixes an export to MosaicML Streaming with its own dataset: python export_streaming.py FOLDER

Prints one JSON line: the unit, the proportions that its streams derive, and the samples that an epoch takes of each.
"""

import collections
import json
import pathlib
import sys

import yaml

sys.path.pop(0)  # this folder: a file bears the package's name

from streaming import Stream, StreamingDataset  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    config = yaml.safe_load((folder / "streaming.yaml").read_text())
    streams = {name: Stream(**stream) for name, stream in config["streams"].items()}
    dataset = StreamingDataset(**{**config, "streams": list(streams.values())}, batch_size=1)
    drawn: collections.Counter = collections.Counter(sample["domain"] for sample in dataset)
    return {
        "unit": "documents",
        "weights": {name: float(stream.proportion) for name, stream in streams.items()},
        "drawn": dict(drawn),
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
