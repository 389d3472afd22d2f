"""Which encoders allow the method, as a table."""

from typing import Any

import pandas as pd

from vzlib.experiments.concentration.encoders import ENCODERS
from vzlib.models.families import FAMILIES as HOSTS
from vzlib.models.families import REFUSED
from vzlib.models.tower_parts import FAMILIES

COMMAND = ".venv/bin/vzlib ask {} --retain 64"
EMBEDDED = ".venv/bin/vzlib reproduce 17 -p model {}"


def encoders(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each kind of encoder, for each model whose encoder is not among these, and for each
    model that is refused.

    rows: of `measure_encoders.measure`. Columns: tower, cls, rated (by what), made (what VisionZip
    made of tiny random weights), gini, models (that are zipped and have it), hub (a checkpoint),
    command (what tries it: this notebook on an embedded model, else a whole model of the hub); of
    refused ones tower holds the model and made why.
    """
    measured = {row["tower"]: row for row in rows.to_dict("records")}
    found: list[tuple[Any, ...]] = []
    for encoder in ENCODERS:
        models, command = ", ".join(encoder.models), ""
        if encoder.embedded:
            command = EMBEDDED.format(encoder.embedded)
        elif encoder.models and encoder.hub.partition("/")[0] != "facebook":  # a tower alone
            command = COMMAND.format(encoder.hub)
        if encoder.tower in measured:
            row = measured[encoder.tower]
            cls = bool(FAMILIES[encoder.tower].cls)
            made = f"{row['tokens']} of {row['patches']}"
            told = (cls, "CLS row" if cls else "column mean", made, float(row["gini"]))
        else:
            cls = encoder.tower.startswith("InternVL")
            rated = f"{'CLS row' if cls else 'column mean'}, of the patches that make a token"
            told = (cls, rated, "", float("nan"))
        found.append((encoder.tower, *told, models, encoder.hub, command))
    named = {model for encoder in ENCODERS for model in encoder.models}
    for model in HOSTS:
        if model not in named:
            found.append(("", None, "", "", float("nan"), model, "", ""))
    for model, why in REFUSED.items():
        found.append((model, None, "", f"refused: {why}", float("nan"), "", "", ""))
    columns = ["tower", "cls", "rated", "made", "gini", "models", "hub", "command"]
    return pd.DataFrame(found, columns=columns)
