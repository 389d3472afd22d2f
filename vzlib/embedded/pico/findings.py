"""What the attention of pico's tower shows of the paper's phenomena, for the model card."""

from collections.abc import Iterator

import pandas as pd

from vzlib.experiments.attention_by_layer import measure as layers
from vzlib.experiments.attention_by_layer.claims import verdicts
from vzlib.experiments.attention_by_layer.tell import profile
from vzlib.experiments.feature_misalignment import measure as misalignment
from vzlib.experiments.feature_misalignment.tell import summary
from vzlib.notebooks import settings

IMAGES = 96


def findings(model: str) -> str:
    """Markdown: concentration by layer, the verdicts on it, and where dominant tokens lie."""
    rows = layers.measure(settings("02_attention_by_layer", model=model, count=IMAGES))
    placed = misalignment.measure(settings("04_feature_misalignment", model=model, scenes=IMAGES))
    lines = [
        *_profile(profile(rows)),
        "",
        *(f"- {line}" for line in _sentences(verdicts(rows))),
        *(f"- {line}" for line in _places(summary(placed))),
    ]
    return "\n".join(lines)


def _profile(profile: pd.DataFrame) -> list[str]:
    gini = profile[(profile["measure"] == "gini") & (profile["rule"] == "cls")]
    layers = sorted(gini["layer"].unique())
    lines = [
        f"Gini coefficient of the CLS token's attention to the patches, {IMAGES} images of a kind:",
        "",
        f"| layer | {' | '.join(map(str, layers))} |",
        "|---" * (1 + len(layers)) + "|",
    ]
    for kind, group in gini.groupby("images", sort=False):
        cells = [f"{row.value:.2f}{' (read)' if row.read else ''}" for row in group.itertuples()]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


def _sentences(verdicts: pd.DataFrame) -> Iterator[str]:
    own = verdicts[(verdicts["measure"] == "gini") & (verdicts["rule"] == "cls")]
    for row in own.itertuples():
        yield f"{row.claim} on {row.images}, {row.sentence}"


def _places(rows: pd.DataFrame) -> Iterator[str]:
    own = rows[(rows["quantity"] == "place") & (rows["target"] == "background")]
    for row in own.itertuples():
        yield (
            f"Of the dominant tokens at {row.retained} retained, {row.share:.0f} % lie on the "
            f"background, which is {row.expected:.0f} % of a scene."
        )
