"""Claims about accuracy against tokens, decided on made-up answers."""

import numpy as np
import pandas as pd
import pytest
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
)

from vzlib.claims.evidence import Evidence
from vzlib.experiments.token_budget import claims as token_budget
from vzlib.notebooks import settings
from vzlib.statistics.intervals import Interval
from vzlib.statistics.several import largest, together

TASKS = ("counting", "existence", "reading")


def answers(levels, images=400, tasks=TASKS):
    """Answers of which a share is right; levels: shares of the tasks by (method, budget)."""
    random = np.random.default_rng(0)
    hard = random.random((len(tasks), images))
    tables = []
    for (method, budget), shares in levels.items():
        for place, (task, share) in enumerate(zip(tasks, shares, strict=True)):
            columns = {"method": method, "budget": budget, "task": task, "question": "?"}
            columns["image"] = [f"scene {image}" for image in range(images)]
            columns |= {"answer": "x", "score": (hard[place] < share).astype(float)}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


class Given(Evidence):
    """Evidence with these rows, whatever is asked for."""

    def __init__(self, rows, **chosen):
        super().__init__(settings("15_claims", **chosen))
        self.given = rows

    def rows(self, notebook, **only):
        assert notebook == "06_token_budget"
        budgets = (576, *only["budgets"])
        chosen = self.given["method"].isin(("vanilla", *only["methods"]))
        return self.given[chosen & self.given["budget"].isin(budgets)]


def decide(claim, levels, **changes):
    return token_budget.CLAIMS[claim](Given(answers(levels, **changes)))


FULL = {("vanilla", 576): (0.9, 0.9, 0.9)}


def test_a_kept_percentage_is_found_if_the_whole_interval_reaches_it():
    level = decide("C15", FULL | {("visionzip", 64): (0.89, 0.89, 0.89)})
    assert level.verdict == "found" and level.n == 1200
    assert level.interval.value == pytest.approx(100 * 0.89 / 0.9, abs=1)
    assert decide("C15", FULL | {("visionzip", 64): (0.7, 0.7, 0.7)}).verdict == "not found"
    nothing = {("vanilla", 576): (0.9, 0, 0.9), ("visionzip", 64): (0.9, 0, 0.9)}
    assert decide("C15", nothing).verdict == decide("S01", nothing).verdict == "not measurable here"


def test_the_smallest_margin_decides_on_the_state_of_the_art():
    levels = FULL | {("visionzip", budget): (0.8, 0.8, 0.8) for budget in (64, 192)}
    levels |= {("fastv", 192): (0.6, 0.6, 0.6), ("sparsevlm", 192): (0.78, 0.78, 0.78)}
    one = decide("C22", levels)
    assert one.verdict == "not found" and one.interval.value == pytest.approx(2, abs=1)
    assert "over sparsevlm at 192 tokens" in one.note and "2 of 4 settings" in one.note
    one = decide("C22", levels | {("sparsevlm", 192): (0.6, 0.6, 0.6)})
    assert one.verdict == "found"
    out = decide("C22", FULL | {("visionzip", budget): (0.8, 0.8, 0.8) for budget in (64, 192)})
    assert out.verdict == "not measurable here" and "--scale paper" in out.command


def test_one_task_that_gains_is_enough_but_not_by_chance():
    gains = decide("C24", FULL | {("visionzip", 192): (0.5, 0.98, 0.5)})
    assert gains.verdict == "found" and gains.note.startswith("existence") and gains.n == 400
    assert decide("C24", FULL | {("visionzip", 192): (0.9, 0.9, 0.9)}).verdict == "not found"
    assert decide("C24", FULL | {("visionzip", 192): (0.5, 0.5, 0.5)}).verdict == "opposite"


def test_the_lowest_task_decides_on_what_is_kept_everywhere():
    one = decide("S01", FULL | {("visionzip", 64): (0.5, 0.9, 0.9)})
    assert one.verdict == "not found" and one.note == "counting, the lowest of 3 tasks"
    assert decide("S01", FULL | {("visionzip", 64): (0.88, 0.88, 0.9)}).verdict == "found"


def test_too_few_tokens_are_told_by_budget():
    levels = FULL | {("visionzip", n): (0.9, 0.9, 0.9) for n in (288, 192, 128)}
    levels |= {("visionzip", n): (0.5, 0.5, 0.5) for n in (64, 32)}
    one = decide("S02", levels)
    assert one.verdict == "found" and one.interval.value == pytest.approx(-40, abs=4)
    assert "288: 0.00 [0.00, 0.00]" in one.note and "32: -4" in one.note


def test_losses_that_differ_by_task():
    one = decide("Q2", FULL | {("visionzip", 64): (0.5, 0.88, 0.88)})
    assert one.verdict == "found" and "counting loses more" in one.unit
    assert one.interval.value == pytest.approx(38, abs=4)
    same = decide("Q2", FULL | {("visionzip", 64): (0.7, 0.7, 0.7)}, images=100)
    assert same.verdict == "not found"
    alone = answers({("vanilla", 576): (0.9,), ("visionzip", 64): (0.5,)}, tasks=("TextVQA",))
    assert "of one kind, TextVQA" in token_budget.by_task(Given(alone)).note


LEVELS = FULL | {("visionzip", 64): (0.89, 0.89, 0.89)}
THIRTEEN = LlamaConfig(hidden_size=5120, intermediate_size=13824, num_hidden_layers=40)


def saved(folder, kind, **parts):
    """A folder with this configuration and no weights, whose name says nothing of it."""
    kind(**parts).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "text", "verdict"),
    [(LlavaConfig, THIRTEEN, "found"), (LlavaConfig, LlamaConfig(), "not measurable here"),
     (LlavaNextConfig, THIRTEEN, "not measurable here")],
)  # fmt: skip
def test_a_claim_about_13b_is_asked_of_models_of_that_shape(tmp_path, kind, text, verdict):
    folder = saved(tmp_path / "7b", kind, vision_config=CLIPVisionConfig(), text_config=text)
    one = token_budget.CLAIMS["C29"](Given(answers(LEVELS), model=folder))
    assert one.verdict == verdict
    assert verdict == "found" or one.note == "needs the weights of LLaVA-1.5-13B"


def test_an_interval_picked_from_several_holds_for_all():
    one = Interval(1.0, 0.0, 2.0)
    assert together(one, 1) == pytest.approx(one)
    wide = together(one, 5)
    assert (wide.high - 1) == pytest.approx(2.5758 / 1.95996, rel=1e-3)
    name, interval = largest({"a": one, "b": Interval(3, 2, 4)})
    assert name == "b" and interval.low < 2


def test_the_table_of_verdicts_has_the_claims_of_the_budgets_that_were_measured():
    levels = LEVELS | {("fastv", 64): (0.5, 0.5, 0.5), ("fastv", 192): (0.5, 0.5, 0.5)}
    found = token_budget.verdicts(answers(levels)).set_index("claim")
    assert found["verdict"].to_dict() == {
        "C15": "found", "C18": "found", "C19": "not measurable here",
    }  # fmt: skip
    assert found["n"].tolist() == [1200, 1200, 0]
    kept, lead, none = found["measured"]
    assert kept.startswith("99.") and kept.endswith("] % of the accuracy with all tokens")
    assert lead.startswith("41.8 [38.9, ") and lead.endswith("] points of accuracy") and none == ""
    assert found.loc["C15", "paper"] == "94.0" and "64" in found.loc["C15", "says"]
