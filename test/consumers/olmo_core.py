"""Builds an export to OLMo-core with its own classes: python olmo_core.py FOLDER

Prints one JSON line: the unit, each source's ratio as parsed, and the share of the mixture that OLMo-core selects, in
whole sequences. Its own checks (ratios that sum to 1, enough tokens in each source) run on the way.
"""

import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
sys.path.pop(0)  # this folder: the file bears the package's name

from olmo_core.data.numpy_dataset import NumpyFSLDatasetConfig  # noqa: E402
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    mixture = SourceMixtureDatasetConfig.from_yaml(folder / "source-mixture.yaml")
    mixture.validate()
    for source in mixture.source_list.sources:
        source.validate()
    result = {
        "unit": "tokens",
        "weights": {source.source_name: source.target_ratio for source in mixture.source_list.sources},
        "requested": mixture.requested_tokens,
    }
    if (folder / "dataset.yaml").exists():
        config = NumpyFSLDatasetConfig.from_yaml(folder / "dataset.yaml")
        config.source_mixture_config.render_tables = False
        config.source_mixture_config.quiet = True
        built = config.source_mixture_config.build(npdtype=config.get_dtype(), sequence_length=config.sequence_length)
        selected = {outcome.name: sum(path.tokens for path in outcome.path_tokens) for outcome in built.sources}
        result["selected"] = selected
        result["sequences"] = sum(selected.values()) // config.sequence_length
        dataset = config.build()
        dataset.prepare()
        assert len(dataset) == result["sequences"], (len(dataset), result)
        assert len(dataset[0]["input_ids"]) == config.sequence_length
    return result


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
