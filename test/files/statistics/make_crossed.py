"""Makes crossed.json: two-way tables (seeds by documents of one size) and their analysis of variance, by NumPy and SciPy.

Variance of the mean under random effects: (MS_seeds + MS_documents - MS_residual) / (S J). The quantile is Cochran and
Cox's: those of t with S - 1 and J - 1 degrees of freedom, weighted by MS_seeds and MS_documents.
"""
import json, os
import numpy as np
from scipy.stats import t

rng = np.random.default_rng(5)
cases = []
for S, J, a, b, e in ((3, 8, 0.05, 0.1, 0.03), (5, 20, 0.1, 0.1, 0.02), (4, 6, 0.3, 0.2, 0.05), (2, 40, 0.1, 0.2, 0.05)):
    x = -0.1 + a * rng.normal(size=(S, 1)) + b * rng.normal(size=(1, J)) + e * rng.normal(size=(S, J))
    x = np.round(x, 6)
    m, ms, md = x.mean(), x.mean(1), x.mean(0)
    MS = J * ((ms - m) ** 2).sum() / (S - 1)
    MD = S * ((md - m) ** 2).sum() / (J - 1)
    ME = ((x - ms[:, None] - md[None] + m) ** 2).sum() / ((S - 1) * (J - 1))
    variance = (MS + MD - ME) / (S * J)
    assert variance > max(MS, MD) / (S * J)
    reach = (MS * t.ppf(0.975, S - 1) + MD * t.ppf(0.975, J - 1)) / (MS + MD) * variance**0.5
    cases.append({"values": x.tolist(), "mean": m, "low": m - reach, "high": m + reach,
                  "seeds": MS / (S * J), "documents": MD / (S * J)})
with open(os.path.join(os.path.dirname(__file__), "crossed.json"), "w") as f:
    f.write(json.dumps(cases) + "\n")
