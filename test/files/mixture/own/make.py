"""Vectors for what no published program computes: Group DRO whose adjustments act one by one, or come from held-out
losses; DoReMi that leaves out the domains that are not in a batch.
Own numpy float64, from the traces beside. Usage, in this folder: python make.py"""
import json
import numpy as np


def read(name):
    return json.load(open(name))


def group_dro(trace, C=None, held_out=None, eta=0.05, gamma=0.3):
    n = np.array(trace["group_counts"], float)
    K = len(n)
    q, running, gap, rows = np.ones(K) / K, np.full(K, np.nan), np.zeros(K), []
    for t, step in enumerate(trace["steps"]):
        group, loss = np.array(step["group"]), np.array(step["loss"])
        mean = np.array([loss[group == g].mean() if (group == g).any() else 0 for g in range(K)])
        extra = gap if held_out else np.array(C) / np.sqrt(n)
        for g in set(step["group"]):
            running[g] = mean[g] if np.isnan(running[g]) else (1 - gamma) * running[g] + gamma * mean[g]
        q = q * np.exp(eta * (mean + extra))
        q /= q.sum()
        rows.append(q.tolist())
        if held_out and t in held_out:
            for g, value in enumerate(held_out[t]):
                if value is not None and not np.isnan(running[g]):
                    gap[g] = value - running[g]
    return rows


def doremi_skip(trace, eta, c):
    K = trace["k"]
    alpha, rows = np.ones(K) / K, []
    for step in trace["steps"]:
        ids, mask = np.array(step["domain_ids"]), np.array(step["mask"], bool)
        excess = np.maximum(np.array(step["loss"]) - np.array(step["ref"]), 0)
        there = [d for d in range(K) if mask[ids == d].any()]
        moved = np.array([alpha[d] * np.exp(eta * excess[ids == d][mask[ids == d]].mean()) for d in there])
        alpha[there] = moved / moved.sum() * alpha[there].sum()
        alpha = (1 - c) * alpha + c / K
        rows.append(alpha.tolist())
    return rows


held_out = {4: [2.5, None, 1.25, 0.5], 19: [2.0, 1.5, 1.75, 3.0], 34: [0.25, 1.0, None, 0.75]}
g4 = read("../group_dro/g4.json")
out = {
    "adjustments": {"trace": "g4", "C": [0, 2, 2, 0.5], "eta": 0.05, "q": group_dro(g4, C=[0, 2, 2, 0.5])},
    "held_out": {"trace": "g4", "eta": 0.05, "decay": 0.3, "after_step": held_out, "q": group_dro(g4, held_out=held_out)},
    "doremi_skip": [
        {"inputs": f"inputs_{name}.json", "eta": 0.5, "eps": 2e-3,
         "alpha": doremi_skip(read(f"../doremi/inputs_{name}.json"), 0.5, 2e-3)}
        for name in ("k3_missing", "k7_missing")
    ],
}
with open("objectives.json", "w") as file:
    json.dump(out, file)
    file.write("\n")
