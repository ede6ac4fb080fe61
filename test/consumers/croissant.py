"""Validates an export to Croissant with mlcroissant and reads its records: python croissant.py FOLDER

Prints one JSON line: the unit, the achieved weights from the record set of domains, the tokens of the selection's rows
by domain, and the number of documents where they are described. mlcroissant raises where the file is not valid.
"""

import collections
import json
import pathlib
import sys

sys.path.pop(0)

import mlcroissant  # noqa: E402


def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else value


def main(folder: pathlib.Path) -> dict:
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors, issues.report()
    weights = {text(row["domains/name"]): row["domains/achieved_weight"] for row in dataset.records("domains")}
    tokens: collections.Counter = collections.Counter()
    for row in dataset.records("selection_rows"):
        tokens[text(row["selection_rows/domain"])] += int(row["selection_rows/tokens"])
    sets = {record_set.id for record_set in dataset.metadata.record_sets}
    documents = sum(1 for _ in dataset.records("documents")) if "documents" in sets else None
    return {
        "unit": "tokens",
        "weights": weights,
        "tokens": dict(tokens),
        "documents": documents,
        "conforms": str(dataset.metadata.ctx.conforms_to.value),
        "warnings": sorted(issues.warnings),
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
