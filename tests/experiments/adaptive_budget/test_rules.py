"""Rules give what their words say, at exactly the mean that is asked for."""

import numpy as np
import pytest

from tests.experiments.adaptive_budget.made_up import answers, images
from vzlib.experiments.adaptive_budget import tell, tell_rules

HELD = [20, 40, 80, 160] * 5


def given(needs=HELD, held_by=HELD, things=None):
    return tell.told(answers(needs), images(held_by, things))


@pytest.mark.parametrize("rule", tell_rules.OF_ATTENTION)
@pytest.mark.parametrize("budget", [40, 64, 100])
def test_the_mean_is_the_budget_and_nothing_is_beyond_the_ladder(rule, budget):
    asked = given().asked
    tokens = tell_rules.share(rule, given().images, asked, budget).tokens
    assert asked.spent(tokens) == pytest.approx(budget, abs=1e-6)
    assert tokens.min() >= 16 and tokens.max() <= 256


def by_image(one, tokens):
    return tell._by_image(one.asked, tokens)


def test_mass_and_entropy_give_more_where_attention_is_spread_and_concentration_less():
    one = given()
    for rule, factor in (("mass", 2), ("entropy", 2), ("rank", 2), ("concentration", 0.5)):
        shared = tell_rules.share(rule, one.images, one.asked, 64)
        tokens = by_image(one, shared.tokens)
        assert tokens[1] / tokens[0] == pytest.approx(factor, rel=0.1), rule
        assert tokens[:4] == pytest.approx(tokens[4:8])
    assert tell_rules.entropy_of(one.images)[:4] == pytest.approx(HELD[:4])


def test_the_parameter_is_that_of_the_words():
    one = given()
    shared = tell_rules.share("entropy", one.images, one.asked, 60)
    assert shared.tokens == pytest.approx(shared.parameter * one.images.rank[one.asked.image])
    share = tell_rules.share("mass", one.images, one.asked, 60).parameter
    assert share * np.mean(HELD) == pytest.approx(60, abs=1)  # p of each image's own patches
    rarity = tell_rules.share("threshold", one.images, one.asked, 60).parameter
    assert 1.6 <= rarity <= 12.8  # an even share among 20 to 160 of 256 patches


def test_between_two_steps_a_score_is_between_two_scores():
    asked = given(needs=[64, 200]).asked
    first = asked.image == 0
    for tokens, score in ((32, 0), (48, 0.5), (64, 1), (96, 1), (256, 1)):
        assert asked.expected(np.full(4, float(tokens)))[first] == pytest.approx(score)
    assert asked.expected(np.full(4, 192.0))[~first] == pytest.approx(0.5)
    assert asked.at_random(np.array([64.0, 64, 256, 256])) == pytest.approx(
        np.where(first, 1, 0.5)
    )  # each has 64 or 256, one as often as the other


def test_a_task_with_many_questions_weighs_no_more():
    rows = answers([20] * 4)
    few = rows[(rows["task"] == "reading") | (rows["image"] == "scene 0")]
    asked = tell.told(few, images(HELD[:4])).asked
    counting = (asked.questions["task"] == "counting").to_numpy()
    assert asked.weight[counting] == pytest.approx(0.5)
    assert asked.weight[~counting] == pytest.approx(1 / 8)


def test_hindsight_buys_what_is_needed_and_no_more():
    one = given()
    tokens = by_image(one, tell_rules.in_hindsight(one.asked, 116))  # 32, 64, 128, 256 suffice
    assert tokens[:3] == pytest.approx([32, 64, 128], abs=1)
    assert one.asked.spent(tell_rules.in_hindsight(one.asked, 60)) == pytest.approx(60)
    cheap = by_image(one, tell_rules.in_hindsight(one.asked, 60))
    assert cheap[3] == pytest.approx(16, abs=1)  # the dearest answer is given up first


def test_other_questions_tell_the_need_where_it_belongs_to_the_image_alone():
    one = given()
    score = one.asked.expected(tell_rules.by_other_questions(one.asked, 110))
    assert score.mean() == pytest.approx(one.asked.expected(
        tell_rules.in_hindsight(one.asked, 110)).mean(), abs=0.02)  # fmt: skip
    alone = tell.told(answers(HELD, tasks=("reading",)), images(HELD))
    assert tell_rules.by_other_questions(alone.asked, 64) == pytest.approx(64)
