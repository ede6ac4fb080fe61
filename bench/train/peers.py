"""The same training in PyTorch, one run a process. Prints one line of JSON.

peers.py versions                             torch and numpy, if they are installed
peers.py gemm THREADS                         GFLOP/s of a large product of matrices
peers.py steps FOLDER MODE JOB STEPS THREADS  steps on the weights and batches in FOLDER
peers.py recipe FOLDER MODE SEED THREADS      from token stores to domain weights

MODE: eager, sdpa, compile or compile+sdpa; compile is torch.compile, sdpa is scaled_dot_product_attention.
JOB: plain; resident: a proxy whose reference runs forward in each step; cached: a proxy with given reference losses.
"""
import importlib.metadata, json, math, pathlib, sys, time


def versions():
    found = {}
    for package in ["torch", "numpy"]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def gemm(threads):
    import torch

    torch.set_num_threads(int(threads))
    n, best = 2048, 0.0
    a, b = torch.rand(n, n), torch.rand(n, n)
    for _ in range(12):
        started = time.perf_counter()
        a @ b
        best = max(best, 2 * n**3 / (time.perf_counter() - started) / 1e9)
    return {"gflops": best}


def build(config, mode):
    """GPT-2 with pre-layer-norm, biases, tanh GELU and tied embedding: the module, and what to call."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    V, T, D = config["vocabularySize"], config["sequenceLength"], config["width"]
    L, H = config["layers"], config["heads"]
    fused = "sdpa" in mode

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(D), nn.LayerNorm(D)
            self.attention, self.projection = nn.Linear(D, 3 * D), nn.Linear(D, D)
            self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

        def forward(self, x, mask):
            B = x.shape[0]
            q, k, v = self.attention(self.ln_1(x)).view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)  # [B, H, T, E] each
            if fused:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                y = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(D // H) + mask, -1) @ v
            x = x + self.projection(y.transpose(1, 2).reshape(B, T, D))
            return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(V, D), nn.Embedding(T, D)
            self.blocks = nn.ModuleList(Block() for _ in range(L))
            self.ln_f = nn.LayerNorm(D)
            self.register_buffer("mask", torch.full((T, T), -torch.inf).triu(1), persistent=False)

        def forward(self, inputs, targets):  # [B, T] both; losses [B, T]
            x = self.tokens(inputs) + self.positions.weight
            for block in self.blocks:
                x = block(x, self.mask)
            logits = F.linear(self.ln_f(x), self.tokens.weight)
            return F.cross_entropy(logits.view(-1, V), targets.reshape(-1), reduction="none").view(targets.shape)

    model = Model()
    return model, torch.compile(model) if mode.startswith("compile") else model


def parts_of(model):
    """Modules with parameters, by Hugging Face's names."""
    names = {"wte": model.tokens, "wpe": model.positions, "ln_f": model.ln_f}
    for l, block in enumerate(model.blocks):
        parts = {"ln_1": block.ln_1, "ln_2": block.ln_2, "attn.c_attn": block.attention}
        parts |= {"attn.c_proj": block.projection, "mlp.c_fc": block.up, "mlp.c_proj": block.down}
        names |= {f"h.{l}.{name}": module for name, module in parts.items()}
    return names


def load(model, arrays):
    """arrays: by Hugging Face's names, linear layers [in, out]"""
    import torch

    with torch.no_grad():
        for name, module in parts_of(model).items():
            for kind, parameter in module.named_parameters():
                array = torch.from_numpy(arrays[f"{name}.{kind}"])
                parameter.copy_(array.T if isinstance(module, torch.nn.Linear) and kind == "weight" else array)


def initialize(model, seed):
    """GPT-2's scheme: matrices normal, those into the residual stream divided by √(2L); biases 0, layer norms 1."""
    import torch

    torch.manual_seed(seed)
    deep = math.sqrt(2 * len(model.blocks))
    with torch.no_grad():
        for name, module in parts_of(model).items():
            for kind, parameter in module.named_parameters():
                if parameter.dim() == 2:
                    parameter.normal_(0, 0.02 / (deep if name.endswith("c_proj") else 1))
                else:
                    parameter.fill_(1 if kind == "weight" else 0)


class Training:
    """Optimizer and, for a proxy, the domain weights of DoReMi's Algorithm 1."""

    def __init__(self, model, call, optimizer, rates, doremi=None):
        import torch

        self.torch, self.model, self.call, self.rates = torch, model, call, rates
        self.clip_norm, self.step_number = optimizer["clipNorm"], 0
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        vectors = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": optimizer["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}]
        betas = (optimizer["beta1"], optimizer["beta2"])
        self.optimizer = torch.optim.AdamW(groups, lr=rates[0], betas=betas, eps=optimizer["epsilon"], fused=True)
        if doremi:
            self.doremi, K = doremi, doremi["domains"]
            self.alpha = torch.full((K,), 1 / K, dtype=torch.float64)
            self.sum = torch.zeros(K, dtype=torch.float64)

    def step(self, inputs, targets, domains=None, reference=None):
        """reference: the losses [B, T], or what computes them from the batch; none for a plain step"""
        torch = self.torch
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[self.step_number]
        losses = self.call(inputs, targets)  # [B, T]
        if reference is None:
            objective = losses.mean()
        else:
            if callable(reference):
                with torch.no_grad():
                    reference = reference(inputs, targets)
            weights = self.reweight((losses.detach() - reference).clamp_min(0), domains)  # [B]
            objective = (losses * weights[:, None]).sum()
        objective.backward()
        if self.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step_number += 1
        return losses.detach().mean().item()

    def reweight(self, excess, domains):
        """Updates alpha; returns its share of each token of a row, [B]."""
        torch, K = self.torch, len(self.alpha)
        eta, smoothing = self.doremi["eta"], self.doremi["smoothing"]
        rows = torch.zeros(K, dtype=torch.float64).index_add(0, domains, excess.double().mean(1))
        counts = torch.bincount(domains, minlength=K).clamp_min(1)
        moved = torch.softmax(self.alpha.log() + eta * rows / counts, 0)
        self.alpha = (1 - smoothing) * moved + smoothing / K
        self.sum += self.alpha
        return (self.alpha / (counts * excess.shape[1]))[domains].float()

    def average(self):
        return (self.sum / self.step_number).tolist()


def read_weights(job, path):
    import numpy

    values, arrays, at = numpy.fromfile(path, "<f4"), {}, 0
    for name, shape in job["parameters"]:
        size = math.prod(shape)
        arrays[name] = values[at : at + size].reshape(shape)
        at += size
    return arrays


def steps(folder, mode, kind, count, threads):
    import numpy, torch

    torch.set_num_threads(int(threads))
    folder = pathlib.Path(folder)
    job = json.loads((folder / "job.json").read_text())
    B, T = job["batchSize"], job["model"]["sequenceLength"]

    def stored(name, dtype, *shape):
        array = torch.from_numpy(numpy.fromfile(folder / name, dtype)).reshape(-1, *shape)
        return array if dtype == "<f4" else array.long()

    inputs, targets = stored("inputs.i32", "<i4", B, T), stored("targets.i32", "<i4", B, T)
    domains = stored("domains.i32", "<i4", B)
    model, call = build(job["model"], mode)
    load(model, read_weights(job, folder / "weights.f32"))
    if kind == "resident":
        module, reference = build(job["model"], mode)
        load(module, read_weights(job, folder / "reference.f32"))
    elif kind == "cached":
        reference = stored("losses.f32", "<f4", B, T)
    training = Training(model, call, job["optimizer"], job["rates"], None if kind == "plain" else job["doremi"])
    losses, milliseconds = [], []
    for n in range(int(count)):
        started = time.perf_counter()
        given = {"plain": None, "resident": lambda: reference, "cached": lambda: reference[n]}[kind]
        losses.append(training.step(inputs[n], targets[n], domains[n], given and given()))
        milliseconds.append((time.perf_counter() - started) * 1e3)
    alpha = None if kind == "plain" else training.alpha.tolist()
    return {"losses": losses, "milliseconds": milliseconds, "alpha": alpha}


def windows(prefix, length):
    """A Megatron store's stream as overlapping windows of length + 1 ids, each id a target once."""
    import numpy

    index = pathlib.Path(f"{prefix}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0", f"{prefix}.idx: is no index of a token store"
    ids = numpy.memmap(f"{prefix}.bin", {4: "<i4", 8: "<u2"}[index[17]], "r")
    count = (len(ids) - 1) // length
    return lambda i: ids[i * length : i * length + length + 1], count


def batches(stores, weights, batch_size, generator):
    """Domains drawn by weight; within a domain a shuffled order, shuffled again when it ends."""
    import numpy, torch

    orders = [iter(()) for _ in stores]

    def draw(domain):
        window, count = stores[domain]
        for i in orders[domain]:
            return window(i)
        orders[domain] = iter(generator.permutation(count))
        return draw(domain)

    shares = numpy.asarray(weights) / sum(weights)
    while True:
        domains = generator.choice(len(stores), batch_size, p=shares)
        ids = torch.from_numpy(numpy.stack([draw(domain) for domain in domains]).astype("int64"))
        yield ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), torch.from_numpy(domains)


def recipe(folder, mode, seed, threads):
    import numpy, torch

    torch.set_num_threads(int(threads))
    job = json.loads((pathlib.Path(folder) / "recipe.json").read_text())
    config, seed, count = job["model"], int(seed), job["steps"]
    stores = [windows(pathlib.Path(folder) / domain["store"], config["sequenceLength"]) for domain in job["domains"]]
    # made once, so that both are compiled once; every round starts them again from the same weights
    (reference, call_reference), (proxy, call) = build(config, mode), build(config, mode)
    weights, rounds = job["weights"], []
    for number in range(job["rounds"]):
        generator = numpy.random.default_rng([seed, number])
        initialize(reference, seed)
        initialize(proxy, seed)
        training = Training(reference, call_reference, job["optimizer"], job["rates"])
        stream = batches(stores, weights, job["batchSize"], generator)
        for _ in range(count):
            inputs, targets, _ = next(stream)
            training.step(inputs, targets)
        training = Training(proxy, call, job["optimizer"], job["rates"], job["doremi"])
        stream = batches(stores, [1] * len(stores), job["batchSize"], generator)
        for _ in range(count):
            inputs, targets, domains = next(stream)
            training.step(inputs, targets, domains, call_reference)
        weights = training.average()
        rounds.append(weights)
    return {"rounds": rounds}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands = {"versions": versions, "gemm": gemm, "steps": steps, "recipe": recipe}
    print("\n" + json.dumps(commands[command](*arguments)))
