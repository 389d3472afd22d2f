"""Digits in files: as many as the interval deserves, and none of the last bit."""

import numpy as np
import pandas as pd
import pytest

from vzlib.notebooks import settings
from vzlib.plotting import save_table
from vzlib.plotting.digits import deserved
from vzlib.plotting.save import csv


@pytest.mark.parametrize(
    ("bounded", "written"),
    [
        ((86.6666667, 83.1234567, 90.2), "86.67,83.12,90.2"),
        ((86.6666667, 60.1234567, 110), "86.7,60.1,110"),
        ((99.994732, 99.993761, 99.995703), "99.99473,99.99376,99.9957"),
        ((0.00123456, 0.001, 0.0015), "0.001235,0.001,0.0015"),
        ((1234.5678, -9000, 9999.9), "1235,-9000,10000"),
        ((66.666666, 66.666666, 66.666666), "66.67,66.67,66.67"),  # no width to go by
        ((66.666666, np.nan, np.nan), "66.67,,"),
        ((2, 1, 3), "2,1,3"),
    ],
)
@pytest.mark.parametrize("quantity", ["value", "gain"])
def test_a_value_and_its_bounds_have_the_digits_of_the_width(bounded, written, quantity):
    names = [quantity, *(f"{quantity}_{end}" for end in ("low", "high"))]
    names = names if quantity == "gain" else ["value", "low", "high"]
    table = pd.DataFrame([("a", *bounded, 1)], columns=["what", *names, "n"])
    assert csv(table).decode().splitlines()[1] == f"a,{written},1"


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.1234567, "0.1235"), (6.802076e-06, "6.802e-06"), (12345.6, "12346"), (576.0, "576"),
     (123456789.0, "123456789"), (np.float32(0.1), "0.1"), (np.inf, "inf"), (-1.23456, "-1.235")],
)  # fmt: skip
def test_any_other_number_has_four_digits_and_all_before_the_point(number, written):
    assert csv(pd.DataFrame({"x": [number]})) == f"x\n{written}\n".encode()


def test_numbers_among_words_have_as_many_digits():
    mixed = pd.DataFrame({"x": [1 / 3, "word", None, True], "y": 1}, dtype=object)
    assert csv(mixed) == b"x,y\n0.3333,1\nword,1\n,1\nTrue,1\n"


def test_the_last_bit_of_another_processor_changes_no_file(tmp_path, monkeypatch):
    tie = np.array([81.125, 86.25, 0.00012345, 12.5])  # each between two texts of some length
    rows = pd.DataFrame({"value": tie, "low": tie - 5, "high": tie + 5, "share": tie})
    written = set()
    for towards in (-np.inf, 0.0, np.inf):
        folder = tmp_path / str(towards)
        monkeypatch.setenv("VZLIB_FIGURES", str(folder))
        near = rows if towards == 0 else np.nextafter(rows, towards)
        columns = {"value": "{value:.1f} [{low:.1f}, {high:.2f}]", "share": "{share:.2f}"}
        save_table(near, "one", settings("01_redundancy"), columns, caption="")
        written.add(tuple(path.read_bytes() for path in sorted(folder.iterdir())))
    assert len(written) == 1


def test_what_is_no_number_is_left_alone():
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [True, False]})
    pd.testing.assert_frame_equal(deserved(table), table)
