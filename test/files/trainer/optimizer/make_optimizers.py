# Makes the .json files of this folder: a few steps of torch.optim.AdamW and of transformers' Adafactor on random
# gradients of ranks 1 and 2, clipped by torch, in float64; how far the same in float32 is from it; and learning rates.
# Needs torch and transformers (made with 2.15.0 and 5.24.0).
import json
import math
from pathlib import Path

import torch
from transformers import optimization

FOLDER = Path(__file__).parent
SHAPES = {"embedding": (5, 8), "tall": (7, 3), "wide": (2, 13), "norm": (6,), "bias": (11,)}
STEPS = 6
BASE = {"learningRate": 0.02, "finalLearningRate": 0.02, "warmupSteps": 2, "decay": "constant"}
ADAFACTOR = {"name": "adafactor", "decayRate": 0.8, "epsilon1": 1e-30, "epsilon2": 1e-3}
CASES = {
    "adamw": {"name": "adamw", "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "weightDecay": 0.1, "clipNorm": 1},
    "adamw-unclipped": {"name": "adamw", "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-5, "weightDecay": 0, "clipNorm": 0},
    "adafactor": ADAFACTOR
    | {"beta1": None, "clipThreshold": 1, "scaleParameter": False, "weightDecay": 0.01, "clipNorm": 1},
    "adafactor-scaled": ADAFACTOR
    | {"beta1": 0.9, "clipThreshold": 0.5, "scaleParameter": True, "weightDecay": 0.1, "clipNorm": 0},
}


def draws():
    """Start and gradients, all of them float32 numbers. Sizes differ by step, so that some are clipped and some are not."""
    generator = torch.Generator().manual_seed(7)
    draw = lambda shape: torch.randn(shape, generator=generator)
    start = {name: draw(shape) * (0.0003 if name == "tall" else 1) for name, shape in SHAPES.items()}
    gradients = [{name: draw(shape) * 0.3**step for name, shape in SHAPES.items()} for step in range(STEPS)]
    for step, of in enumerate(gradients):
        of["embedding"][step % 4] = 0  # a token that did not occur
    return start, gradients


def optimizer(config, parameters):
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config["weightDecay"]},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0},
    ]
    if config["name"] == "adamw":
        return torch.optim.AdamW(groups, betas=(config["beta1"], config["beta2"]), eps=config["epsilon"])
    return optimization.Adafactor(
        groups,
        lr=1,
        eps=(config["epsilon1"], config["epsilon2"]),
        clip_threshold=config["clipThreshold"],
        decay_rate=-config["decayRate"],
        beta1=config["beta1"],
        scale_parameter=config["scaleParameter"],
        relative_step=False,
        warmup_init=False,
    )


def run(config, dtype):
    start, gradients = draws()
    parameters = {name: value.to(dtype).requires_grad_() for name, value in start.items()}
    optimize = optimizer(config, parameters.values())
    steps = []
    for step, of in enumerate(gradients, 1):
        for group in optimize.param_groups:
            group["lr"] = config["learningRate"] * min(1, step / config["warmupSteps"])
        for name, p in parameters.items():
            p.grad = of[name].to(dtype)
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), config["clipNorm"] or math.inf)
        optimize.step()
        steps.append((norm, {name: p.detach().clone() for name, p in parameters.items()}))
    kinds = {"exp_avg": "first", "exp_avg_sq_row": "row", "exp_avg_sq_col": "column", "exp_avg_sq": "second"}
    state = {
        f"{kinds[key]}/{name}": value
        for name, p in parameters.items()
        for key, value in optimize.state[p].items()
        if key in kinds
    }
    return start, gradients, steps, state


def write(name, content):
    def plain(value):
        return value.flatten().tolist() if value.dim() else value.item()

    (FOLDER / f"{name}.json").write_text(json.dumps(content, default=plain) + "\n")


def rates(config, steps):
    """Of steps 1 to `steps`: a scheduler of transformers after as many steps of its own."""
    peak, final, warmup = (config[key] for key in ("learningRate", "finalLearningRate", "warmupSteps"))
    given = torch.optim.SGD([torch.zeros(1)], lr=peak)
    if config["decay"] == "constant":
        schedule = optimization.get_constant_schedule_with_warmup(given, warmup)
    elif config["decay"] == "linear":
        schedule = optimization.get_polynomial_decay_schedule_with_warmup(given, warmup, steps, lr_end=final, power=1)
    elif config["decay"] == "cosine":
        schedule = optimization.get_cosine_with_min_lr_schedule_with_warmup(given, warmup, steps, min_lr=final)
    elif config["decay"] == "exponential":  # the one that transformers does not have
        rising = torch.optim.lr_scheduler.LambdaLR(given, lambda step: step / warmup)
        falling = torch.optim.lr_scheduler.ExponentialLR(given, (final / peak) ** (1 / (steps - warmup)))
        schedule = torch.optim.lr_scheduler.SequentialLR(given, [rising, falling], [warmup])
    else:
        schedule = optimization.get_wsd_schedule(
            given,
            warmup,
            round(config["decayShare"] * steps),
            num_training_steps=steps,
            decay_type=config["decayShape"],
            min_lr_ratio=final / peak,
        )
    found = []
    for _ in range(steps):
        given.step()
        schedule.step()
        found.append(schedule.get_last_lr()[0])
    return found


for name, own in CASES.items():
    config = BASE | own
    start, gradients, steps, state = run(config, torch.float64)
    _, _, steps32, state32 = run(config, torch.float32)
    far = lambda there, here: max(((there[name] - here[name]).abs().max() / there[name].abs().max()).item() for name in there)
    content = {
        "config": config,
        "shapes": SHAPES,
        "start": start,
        "steps": [
            {"gradients": of, "gradientNorm": norm, "parameters": values}
            for of, (norm, values) in zip(gradients, steps)
        ],
        "state": state,
        # largest differences of the same in float32 after the last step, relative to an array's largest value
        "float32": {"parameters": far(steps[-1][1], steps32[-1][1]), "state": far(state, state32)},
    }
    write(name, content)

rate = {"learningRate": 4e-3, "finalLearningRate": 5e-4, "warmupSteps": 5}
schedules = [rate | {"decay": decay} for decay in ("constant", "linear", "cosine", "exponential")]
# without a warm-up, which transformers starts at the final rate here, and at 0 everywhere else
schedules += [
    rate | {"warmupSteps": 0, "decay": "wsd", "decayShare": share, "decayShape": shape}
    for share, shape in ((0.1, "1-sqrt"), (0.25, "linear"), (0.5, "cosine"))
]
write("schedules", [{"config": config, "rates": rates(config, 40)} for config in schedules])
