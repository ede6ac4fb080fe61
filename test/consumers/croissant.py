"""Validates an export to Croissant with mlcroissant and reads its records: python croissant.py FOLDER

Prints one JSON line: the unit, the achieved weights from the record set of domains, the tokens of the selection's rows
by domain, and where documents are described their number by domain and the sha256 over their texts in order, each
followed by a zero byte. mlcroissant raises where the file is not valid, and checks the hashes of the files.
"""

import collections
import hashlib
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
    described = "documents" in sets
    documents: collections.Counter = collections.Counter()
    digest = hashlib.sha256()
    for row in dataset.records("documents") if described else ():
        documents[text(row["documents/domain"])] += 1
        digest.update(text(row["documents/text"]).encode() + b"\0")
    return {
        "unit": "tokens",
        "weights": weights,
        "tokens": dict(tokens),
        **({"documents": dict(documents), "sha256": digest.hexdigest()} if described else {}),
        "conforms": str(dataset.metadata.ctx.conforms_to.value),
        "warnings": sorted(issues.warnings),
    }


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
