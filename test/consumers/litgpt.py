"""Reads an export to LitGPT through its data module: python litgpt.py FOLDER

Prints one JSON line: the unit, the weights that litdata's combined dataset draws by, and the blocks of each domain among
what it gives before the first domain runs out. Blocks are of 65 ids, 64 and the next.
"""

import collections
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
folder = pathlib.Path(sys.argv[1]).resolve()
sys.path[0] = str(folder)  # in place of this folder, whose file bears the package's name

import doremi_litgpt  # noqa: E402
from litdata.streaming import CombinedStreamingDataset  # noqa: E402


def main() -> dict:
    data = doremi_litgpt.DoremiMixture(num_workers=0)
    data.connect(batch_size=1, max_seq_length=64)
    dataset = data.train_dataset()
    names = [stream["domain"] for stream in doremi_litgpt.STREAMS]
    if not isinstance(dataset, CombinedStreamingDataset):
        return {"unit": "sequences", "weights": {names[0]: 1.0}, "drawn": {names[0]: len(dataset)}}
    drawn = collections.Counter()
    iterator = iter(dataset)
    before = [0] * len(names)
    for block in iterator:
        assert len(block) == 65, len(block)
        after = list(iterator._num_samples_yielded)
        drawn[names[next(i for i in range(len(names)) if after[i] > before[i])]] += 1
        before = after
    return {"unit": "sequences", "weights": dict(zip(names, dataset._weights, strict=True)), "drawn": dict(drawn)}


if __name__ == "__main__":
    print(json.dumps(main()))
