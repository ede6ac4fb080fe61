"""Builds an export to nanotron with its own configuration classes and data sets: python nanotron.py FOLDER

Prints one JSON line: the unit, the weights as parsed, the sequences that its blend takes of each folder in one pass over
the whole, and whether a folder is read in its order. One process stands for the cluster.
"""

import json
import os
import pathlib
import sys
import types
import unittest.mock
import warnings

warnings.filterwarnings("ignore")
sys.path.pop(0)  # this folder: the file bears the package's name
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", RANK="0", WORLD_SIZE="1")

# The first use builds its C++ helpers, with the python3 of the PATH.
os.environ["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# Kernels of the graphics card, which its models import and its data does not use.
for name in ("flash_attn", "flash_attn.bert_padding", "flash_attn.flash_attn_interface", "flash_attn.layers.rotary", "flash_attn.ops.triton.layer_norm"):
    sys.modules[name] = unittest.mock.MagicMock(__spec__=None, __version__="0")

import numpy  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from nanotron.config import DatasetStageArgs  # noqa: E402
from nanotron.config.config import get_config_from_dict  # noqa: E402
from nanotron.data.tokenized_bytes import get_tb_datasets  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    [given] = yaml.safe_load((folder / "nanotron.yaml").read_text())["data_stages"]
    stage = get_config_from_dict(given, config_class=DatasetStageArgs)
    config, length = stage.data.dataset, stage.sequence_length
    # Its own reader of the files: the other one calls datatrove in a way that no release of datatrove answers to.
    config.use_old_brrr_dataloader = True
    folders = [pathlib.Path(path) for path in config.dataset_folder]
    width = numpy.dtype(f"<u{config.token_size_in_bytes}")
    # One pass: what every file holds in whole windows, which have the next token too.
    files = {path: sorted(path.glob("*.ds")) for path in folders}
    steps = sum(file.stat().st_size // width.itemsize // (length + 1) for of in files.values() for file in of)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    dataset, _ = get_tb_datasets(
        config=config,
        sequence_length=length,
        global_batch_size=1,
        train_steps=steps,
        current_iteration=0,
        parallel_context=types.SimpleNamespace(world_pg=torch.distributed.group.WORLD),
        shuffle=config.shuffle_files,
        seed=stage.data.seed,
        consumed_tokens_per_dataset_folder={},
        last_stages_consumed_tokens_per_dataset_folder={},
    )
    names = [path.name for path in folders]
    drawn = dict(zip(names, dataset.dataset_num_samples.tolist(), strict=True))
    firsts = {name: next(dataset[i] for i, of in enumerate(dataset.dataset_index) if names[of] == name) for name in names}
    return {
        "unit": "sequences",
        "weights": dict(zip(names, config.dataset_weights, strict=True)),
        "drawn": drawn,
        "inOrder": all(
            numpy.array_equal(firsts[path.name]["input_ids"], numpy.fromfile(files[path][0], width, length + 1))
            for path in folders
        ),
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
