"""C06 is decided by the attention that selects, in the block that is read."""

import pandas as pd
import pytest

from tests.given import decide
from vzlib.experiments.softmax_gradient import claims


def rows_of(queries, layer, values):
    return pd.DataFrame(
        {
            "name": range(len(values)), "unit": [*map(str, range(len(values)))],
            "queries": queries, "layer": layer, "read": layer == 3,
            "quantity": "mass_exponential", "s": float("nan"), "value": values,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "verdict"),
    [([60.0, 61, 62], "found"), ([45.0, 55, 50], "not found"), ([10.0, 11, 12], "not found")],
)
def test_half_of_the_attention_must_lie_where_growth_is_exponential(cls, verdict):
    others = [rows_of("all", 3, [90.0, 91, 92]), rows_of("cls", 2, [80.0, 81, 82])]
    one = decide(claims, "C06", pd.concat([*others, rows_of("cls", 3, cls)]))
    assert one.verdict == verdict
    assert one.interval.value == pytest.approx(sum(cls) / 3)
    assert (one.n, one.data) == (3, "photographs")


def test_without_cls_all_tokens_decide():
    assert decide(claims, "C06", rows_of("all", 3, [90.0, 91, 92])).verdict == "found"
