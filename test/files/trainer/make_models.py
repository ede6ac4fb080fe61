"""Makes the folders of models beside it: small random ones as transformers stores them, and what it computes with them.

pip install torch transformers; python make_models.py
Every parameter is random, norms and biases included, so that none can be left out unnoticed.
"""
import os
import json

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

here = os.path.dirname(os.path.abspath(__file__))
sizes = {"vocab_size": 61, "bos_token_id": None, "eos_token_id": None}
gpt2 = {**sizes, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
llama = {**sizes, "max_position_embeddings": 12, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}
llama3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 0.2, "high_freq_factor": 1.0,
          "original_max_position_embeddings": 11}  # one of the four frequencies as it was, one in between, two stretched
MODELS = {
    "gpt2": GPT2LMHeadModel(GPT2Config(**gpt2)),
    "gpt2-untied": GPT2LMHeadModel(GPT2Config(**gpt2, n_inner=40, activation_function="gelu", layer_norm_epsilon=1e-3,
                                              tie_word_embeddings=False)),
    "llama": LlamaForCausalLM(LlamaConfig(**llama, rope_theta=500.0, rms_norm_eps=1e-3, tie_word_embeddings=True)),
    "llama-untied": LlamaForCausalLM(LlamaConfig(**{**llama, "num_attention_heads": 2, "num_key_value_heads": 1}, rope_parameters=llama3)),
}


def digits(tensor):
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def make(folder, architecture):
    torch.manual_seed(1)
    model = type(architecture)(architecture.config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    if os.path.exists(extra := os.path.join(folder, "generation_config.json")):
        os.remove(extra)

    ids = torch.randint(0, 61, (2, 13))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    model = model.double()  # the expected values in float64
    logits = model(inputs).logits
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    losses.mean().backward()
    gradients = {name.removeprefix("transformer.").removeprefix("model."): digits(parameter.grad)
                 for name, parameter in model.named_parameters()
                 # of the first layer's matrices it is enough that those behind them get theirs
                 if parameter.dim() == 1 or "h.0." not in name and "layers.0." not in name}
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump({
            "torch": torch.__version__, "transformers": transformers.__version__,
            "inputs": inputs.flatten().tolist(), "targets": targets.flatten().tolist(),
            "logits": digits(logits[:, -1]),  # of the last position
            "losses": digits(losses),
            "gradients": gradients,
        }, file)


for name, architecture in MODELS.items():
    make(os.path.join(here, name), architecture)
