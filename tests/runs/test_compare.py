"""Numbers and verdicts of a new measurement against those that ship, for made-up tables."""

import json

import pandas as pd
import pytest

from vzlib.runs import compare


def write(folder, name, table, **settings):
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    said = {"settings_class": "Any", "settings": settings, "files": [f"{name}.csv"]}
    (folder / f"{name}.json").write_text(json.dumps(said))


def rows(*values, **more):
    table = pd.DataFrame(values, columns=["method", "tokens", "value", "low", "high"])
    return table.assign(n=100, **more)


@pytest.fixture
def both(tmp_path):
    return tmp_path / "new", tmp_path / "shipped"


def test_values_are_the_same_within_or_moved(both):
    shipped = rows(("a", 64, 50, 45, 55), ("b", 64, 50, 45, 55), ("c", 64, 50, 45, 55))
    now = rows(("c", 64, 70, 65, 75), ("a", 64, 50.04, 45, 55), ("b", 64, 52, 47, 57))
    for folder, table in zip(both, (now, shipped), strict=True):
        write(folder, "06", table)
    found = compare.compare(*both).set_index("which")["outcome"].to_dict()
    assert found == {"a 64": "same", "b 64": "within both intervals", "c 64": "moved"}
    text = compare.told(*both)
    assert "moved: 06.csv, c 64: 70, shipped 50" in text


def test_a_value_outside_of_one_of_the_intervals_has_moved(both):
    write(both[0], "06", rows(("a", 64, 54, 53, 55)))
    write(both[1], "06", rows(("a", 64, 50, 45, 55)))
    assert compare.compare(*both)["outcome"].tolist() == ["moved"]


def test_rows_are_told_apart_by_numbers_where_names_do_not(both):
    table = pd.DataFrame({"s": [0.1, 0.2], "value": [1.0, 2.0], "low": [0.0, 1.0],
                          "high": [2.0, 3.0], "n": 5, "device": "x"})  # fmt: skip
    write(both[0], "03", table.assign(device="another"))
    write(both[1], "03", table)
    assert compare.compare(*both)["outcome"].tolist() == ["same", "same"]


def test_other_quantities_with_bounds_are_compared_too(both):
    table = pd.DataFrame({"method": ["a"], "gain": [2.0], "gain_low": [1.9], "gain_high": [2.1]})
    write(both[0], "08", table.assign(gain=3.0))
    write(both[1], "08", table)
    (row,) = compare.compare(*both).itertuples()
    assert (row.quantity, row.value, row.shipped, row.outcome) == ("gain", 3, 2, "moved")


def test_other_settings_are_not_compared(both):
    table = rows(("a", 64, 50, 45, 55))
    write(both[0], "06", table, each=8)
    write(both[1], "06", table, each=120)
    assert compare.compare(*both).empty and compare.told(*both) == ""
    assert compare.told(both[1], both[1]) == ""


def test_verdicts_that_changed_are_named(both):
    for folder, verdict in zip(both, ("found", "not found"), strict=True):
        claims = pd.DataFrame({"claim": ["C01", "C02"], "verdict": ["found", verdict]})
        write(folder, "15_claims-verdicts", claims)
        write(folder, "06", rows(("a", 64, 50, 45, 55)))
    assert "verdict changed: C02: found, shipped not found" in compare.told(*both)
    claims.to_csv(both[0] / compare.VERDICTS, index=False)
    assert compare.told(*both).endswith("every verdict is the one that ships")
