"""What the stacks' own writers make of a few documents, for tests that compare our bytes with theirs.

    python make.py      with mosaicml-streaming 0.13.0, datatrove 0.10.1, litdata 0.2.76 and torch 2.15.0

documents.json holds the documents: the domain, and the ids without the separator, which is written behind each of them.
"""

import json
import os
import shutil

import numpy as np
import torch
from datatrove.pipeline.tokens.tokenizer import TokenizedFile
from litdata.streaming import item_loader, writer
from streaming import MDSWriter

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "documents.json")) as file:
    INPUT = json.load(file)


def fresh(*parts):
    folder = os.path.join(HERE, *parts)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    return folder


for width in (2, 4):
    case = INPUT[f"{width * 8}"]
    documents = [(d["domain"], d["ids"] + [case["separator"]]) for d in case["documents"]]

    dtype = f"uint{width * 8}"
    columns = {"tokens": f"ndarray:{dtype}", "domain": "str"}
    out = fresh("mds", dtype)
    with MDSWriter(out=out, columns=columns, hashes=["sha256"], size_limit=None) as mds:
        for domain, ids in documents:
            mds.write({"tokens": np.array(ids, dtype), "domain": domain})

    out = fresh("datatrove", dtype)
    ds = TokenizedFile(out, "part-00000.ds", tokenizer_name_or_path="tiny", save_final_metadata=True, token_size=width)
    for _, ids in documents:
        ds.write(ids, None)
    ds.close()

    out = fresh("litdata", dtype)
    tensor = {2: torch.uint16, 4: torch.int32}[width]
    binary = writer.BinaryWriter(out, chunk_bytes=1 << 26, item_loader=item_loader.TokensLoader())
    for index, (_, ids) in enumerate(documents):
        binary.add_item(index, torch.tensor(ids, dtype=tensor))
    binary.done()
    binary.merge(1)
