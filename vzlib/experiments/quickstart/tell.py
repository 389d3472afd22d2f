"""What 00_quickstart counts: how the tokens that do not stay were merged."""

import pandas as pd


def group_sizes(tokens: pd.DataFrame) -> pd.DataFrame:
    """How many patches went into each contextual token.

    tokens: of `measure`. Columns: groups, min, median, max (patches); a row per image.
    """
    merged = tokens[~tokens["dominant"]]
    sizes = merged.groupby(["image", "group"], sort=False).size()
    by_image = sizes.groupby("image", sort=False)
    return by_image.agg(["count", "min", "median", "max"]).rename(columns={"count": "groups"})
