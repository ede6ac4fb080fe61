"""Makes student-t.json: quantiles of Student's t by SciPy."""
import json, os
from scipy.stats import t
rows = [[p, df, float(t.ppf(p, df))] for df in (1, 1.3, 2, 2.71828, 3, 5.5, 10, 33.3, 100, 1234.5, 1e5)
        for p in (0.025, 0.5, 0.6, 0.9, 0.975, 0.995, 0.9999)]
import scipy
with open(os.path.join(os.path.dirname(__file__), "student-t.json"), "w") as f:
    f.write(json.dumps({"scipy": scipy.__version__, "columns": ["p", "freedom", "quantile"], "rows": rows}) + "\n")
