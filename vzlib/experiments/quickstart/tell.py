"""What 00_quickstart says: which answers are right, and how the other tokens were merged."""

import pandas as pd

from vzlib.evaluation.scoring import plain


def judged(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers of `measure`, with columns zipped_right and vanilla_right."""
    truth = answers["truth"].map(_plain)
    right = {f"{who}_right": answers[who].map(_plain) == truth for who in ("zipped", "vanilla")}
    return answers.assign(**right)


def _plain(answer: str) -> str:
    """As scores compare answers, and without spaces within: "The 7 9." is "79"."""
    return "".join(plain(answer).split())


def group_sizes(tokens: pd.DataFrame) -> pd.DataFrame:
    """How many patches went into each contextual token.

    tokens: of `measure`. Columns: groups, min, median, max (patches); a row per image.
    """
    merged = tokens[~tokens["dominant"]]
    sizes = merged.groupby(["image", "group"], sort=False).size()
    by_image = sizes.groupby("image", sort=False)
    return by_image.agg(["count", "min", "median", "max"]).rename(columns={"count": "groups"})
