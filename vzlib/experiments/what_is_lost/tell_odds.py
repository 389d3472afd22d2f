"""A model of the loss: the odds that an answer is lost, by what was asked about."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.discrete.discrete_model import Logit

from vzlib.statistics.comparison import holm
from vzlib.statistics.intervals import NOTHING, Interval

FEWEST = 10  # answers that are lost, and that are kept, below which nothing is fitted
# By property: what an odds ratio is of, and the column that grows by one with it.
TERMS = {
    "size": "half the size",
    "eccentricity": "at the edge instead of the middle",
    "others": "one more thing in the scene",
    "contrast": "20 points less contrast",
    "kept": "a tenth less of its patches kept",
}
TASK = "task: "  # before the name of a task, whose odds stand against the mean of the tasks
COLUMNS = ["term", "of", *Interval._fields, "p", "n", "lost", "holm"]


def odds(data: pd.DataFrame, kept: bool) -> pd.DataFrame:
    """Odds ratios of the loss, each with all other terms held.

    data: of `tell.answers`, of one method and budget: questions about something, right with all
    tokens. kept: whether the share of patches that were kept is one of the terms; without it a
    ratio is the whole effect, with it what does not go by way of that.

    Logistic regression with errors clustered by image. Tasks of which nothing, or everything, is
    lost are left out, as their odds have no bounds; with too few answers or terms that tell losses
    apart without error there are no ratios.

    Columns: term (a property, or "task: " and its name), of (in words), value, low, high (odds
    ratio with its 95 % interval), p (of a ratio of 1), n (questions), lost (of them), holm (p
    corrected over these terms).
    """
    shares = data.groupby("task")["lost"].transform("mean")
    own = data[(shares > 0) & (shares < 1)]
    names = [name for name in TERMS if kept or name != "kept"]
    tasks = pd.get_dummies(own["task"], dtype=float)
    few = min(own["lost"].sum(), (1 - own["lost"]).sum()) < FEWEST
    if few or own["image"].nunique() < 2:
        return pd.DataFrame(columns=COLUMNS)
    columns = _columns(own)
    varied = [name for name in names if columns[name].nunique() > 1]
    design = pd.concat([columns[varied], tasks], axis=1)
    fit = _fitted(own, design)
    found = []
    for number, name in enumerate(varied):
        contrast = np.zeros(design.shape[1])
        contrast[number] = 1
        found.append((name, TERMS[name], *_ratio(fit, contrast)))
    for number, task in enumerate(tasks.columns):
        if len(tasks.columns) > 1:
            contrast = np.zeros(design.shape[1])
            contrast[len(varied) :] = -1 / len(tasks.columns)
            contrast[len(varied) + number] += 1
            found.append((f"{TASK}{task}", f"{task}, against the mean of the tasks",
                          *_ratio(fit, contrast)))  # fmt: skip
    table = pd.DataFrame(found, columns=COLUMNS[:6])
    table = table.assign(n=len(own), lost=int(own["lost"].sum()), holm=np.nan)
    known = table["p"].notna()
    table.loc[known, "holm"] = holm(table.loc[known, "p"].to_numpy())
    return table


def _columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The terms, so that each grows by one with what its words say."""
    return pd.DataFrame(
        {
            "size": -np.log2(rows["size"]),
            "eccentricity": rows["eccentricity"],
            "others": rows["others"],
            "contrast": -rows["contrast"] / 20,
            "kept": 10 * (1 - rows["kept"]),
        }
    )


def _fitted(rows: pd.DataFrame, design: pd.DataFrame) -> Any:
    """The fit, or None where it has none."""
    images = pd.factorize(rows["image"])[0]
    model: Any = Logit(rows["lost"].to_numpy(float), design.to_numpy(float))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no convergence, or losses told apart without error
            fit = model.fit(disp=0, maxiter=100, cov_type="cluster", cov_kwds={"groups": images})
    except (Warning, np.linalg.LinAlgError):
        return None
    return fit if np.isfinite(fit.bse).all() and np.abs(fit.params).max() < 30 else None


def _ratio(fit: Any, contrast: np.ndarray) -> tuple[float, float, float, float]:
    """Odds ratio with its bounds, and p."""
    if fit is None:
        return *NOTHING, float("nan")
    test = fit.t_test(contrast[None])
    low, high = np.exp(test.conf_int()[0])
    return float(np.exp(test.effect.item())), float(low), float(high), float(test.pvalue)
