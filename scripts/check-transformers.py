"""Checks that transformers loads a model that doremi wrote, and computes the same logits.

    pip install torch transformers safetensors
    npx tsx scripts/model-logits.ts RUN/proxy/model logits.safetensors
    python scripts/check-transformers.py RUN/proxy/model logits.safetensors

Prints one line of JSON. Exit 1 where a parameter is missing or left over, or where logits differ by more than float32
arithmetic in another order explains.
"""

import json
import sys

import torch
import transformers
from safetensors.torch import load_file

# of the largest logit: some thousands of float32 roundings, most of which cancel
TOLERANCE = 1e-4


def main(folder, ours):
    given = load_file(ours)
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    # What ties to another parameter is not missing.
    unloaded = {key: sorted(loading[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    with torch.no_grad():
        logits = model(given["inputs"].long()).logits
        exact = model.double()(given["inputs"].long()).logits
    difference = (logits - given["logits"]).abs().max().item()
    largest = logits.abs().max().item()
    ok = logits.shape == given["logits"].shape and difference <= TOLERANCE * largest and not any(unloaded.values())
    print(
        json.dumps(
            {
                "ok": ok,
                "model": type(model).__name__,
                "transformers": transformers.__version__,
                "parameters": model.num_parameters(),
                "largestDifference": difference,
                "largestLogit": largest,
                # both against float64: whose rounding the difference is
                "oursToFloat64": (exact - given["logits"]).abs().max().item(),
                "theirsToFloat64": (exact - logits).abs().max().item(),
                **unloaded,
            }
        )
    )
    return 0 if ok else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
