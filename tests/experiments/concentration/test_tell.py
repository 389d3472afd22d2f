"""Changes against the stock tower, and the claims decided on them, on made-up rows."""

import pytest

from tests.experiments.concentration.made_up import LEVELS, answers, attention
from vzlib.claims.evidence import Evidence
from vzlib.experiments.concentration import claims, tell
from vzlib.experiments.concentration.names import STOCK, UNTRAINED
from vzlib.notebooks import settings

CHANGES = {"logits x 2": 0.2, UNTRAINED: -0.3}


class Given(Evidence):
    def __init__(self, rows, answered, **chosen):
        super().__init__(settings("15_claims", **chosen))
        self.given = {"measure": rows, "measure_answers": answered}

    def rows(self, notebook, function="measure", *, module="measure", **only):
        assert (notebook, function, only) == (claims.NOTEBOOK, "measure", {})
        return self.given[module]


def given(levels=LEVELS, changes=CHANGES, **chosen):
    return Given(attention(changes), answers(levels), **chosen)


def test_what_a_condition_changes_is_paired_by_image():
    table = tell.attention(attention(CHANGES))
    for condition, change in CHANGES.items():
        moved = tell.moved(table, condition)
        assert moved == pytest.approx((change, change, change))  # though images differ
        own = table[(table["condition"] == condition) & (table["quantity"] == "gini")].iloc[0]
        assert own["value"] == pytest.approx(0.5 + change, abs=0.05)
        assert own["high"] - own["low"] > 0.01
        assert tell.moved(table, condition, "watched").value == pytest.approx(-100 * change)
    assert (table.loc[table["condition"] == STOCK, "change"] == 0).all()
    assert tell.moved(table, "registers").value != tell.moved(table, "registers").value


def test_answers_are_compared_with_the_same_method_in_the_stock_tower():
    table = tell.answered(answers(LEVELS)).set_index(["condition", "method"])
    assert table.loc[("logits x 2", "vanilla"), "change"] == pytest.approx(-20, abs=4)
    assert table.loc[("logits x 2", "visionzip"), "change_high"] < -30
    assert (table.loc[STOCK, "change"] == 0).all() and (table["n"] == 600).all()


def test_without_a_cls_token_enough_must_be_kept():
    works, fails = (claims.CLAIMS[name](given()) for name in ("C14", "S03"))
    assert (works.verdict, fails.verdict) == ("found", "opposite")
    assert works.interval.value == pytest.approx(94, abs=2) and works.n == 600
    less = LEVELS | {(STOCK, "column mean"): 0.6}
    works, fails = (claims.CLAIMS[name](given(less)) for name in ("C14", "S03"))
    assert (works.verdict, fails.verdict) == ("not found", "found")
    nothing = LEVELS | {(STOCK, "vanilla"): 0.0}
    assert claims.CLAIMS["C14"](given(nothing)).verdict == "not measurable here"


def test_training_concentrates_if_untrained_weights_do_less():
    found = claims.trained(given())
    assert found.verdict == "found" and found.interval.value == pytest.approx(0.3)
    assert found.n == 20 and "logits x 2 0.20 [0.20, 0.20] and -4" in found.note
    assert claims.trained(given(changes={UNTRAINED: 0.1})).verdict == "opposite"


def test_another_encoder_is_asked_for_and_beats_random_tokens_or_not():
    assert claims.other_encoders(given()).verdict == "not measurable here"
    assert "-p model dino" in claims.other_encoders(given()).command
    chosen = {"model": "dino", "questions": "things"}
    found = claims.other_encoders(given(**chosen))
    assert found.verdict == "found" and found.interval.value == pytest.approx(20, abs=4)
    assert found.note.startswith("dinov2; of the accuracy with all tokens it keeps 8")
    worse = given(LEVELS | {(STOCK, "random"): 0.95}, **chosen)
    assert claims.other_encoders(worse).verdict == "opposite"


def test_the_conclusion_has_a_line_for_every_change():
    rows, answered = attention(CHANGES), answers(LEVELS)
    told = tell.conclusion(tell.attention(rows), tell.answered(answered), answered).split("\n\n")
    assert len(told) == 2 + len(CHANGES)
    assert "CLS attends to most 60.0 [60.0, 60.0] % are also those" in told[0]
    assert told[1].startswith("logits x 2: Gini +0.20 [+0.20, +0.20]; -20.0 [-20.0, -20.0] points")
    assert "visionzip -4" in told[1] and "vanilla -" in told[1] and "visionzip" not in told[2]
    assert "by the column mean, VisionZip keeps 9" in told[-1]
