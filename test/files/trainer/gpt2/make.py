"""Makes the files beside it: a small random GPT-2 as transformers stores it, and what it computes.

pip install torch transformers; python make.py
Every parameter is random, layer norms and biases included, so that none can be left out unnoticed.
"""
import json
import os

import torch
import transformers

folder = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)
config = transformers.GPT2Config(vocab_size=61, n_positions=12, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                                 bos_token_id=None, eos_token_id=None)
model = transformers.GPT2LMHeadModel(config).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
model.save_pretrained(folder)
for extra in ("generation_config.json",):
    if os.path.exists(os.path.join(folder, extra)):
        os.remove(os.path.join(folder, extra))

ids = torch.randint(0, 61, (2, 13))
inputs, targets = ids[:, :-1], ids[:, 1:]
model = model.double()  # the expected values in float64
logits = model(inputs).logits
losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
losses.mean().backward()
digits = lambda tensor: [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
json.dump({
    "torch": torch.__version__, "transformers": transformers.__version__,
    "inputs": inputs.flatten().tolist(), "targets": targets.flatten().tolist(),
    "logits": digits(logits[:, -1]),  # of the last position
    "losses": digits(losses),
    "gradients": {name.removeprefix("transformer."): digits(parameter.grad) for name, parameter in model.named_parameters()
                  if parameter.grad is not None and (parameter.dim() == 1 or "h.1" in name or "wte" in name or "wpe" in name)},
}, open(os.path.join(folder, "expected.json"), "w"))
