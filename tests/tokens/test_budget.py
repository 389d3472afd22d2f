import subprocess
import sys

import numpy as np
import pytest

from vzlib.tokens import Budget, BudgetError


@pytest.mark.parametrize(
    ("total", "dominant", "contextual"),
    [(64, 54, 10), (128, 108, 20), (192, 162, 30), (32, 27, 5), (1, 1, 0), (2, 2, 0), (48, 40, 8)],
)
def test_retain_splits_as_the_paper_does(total, dominant, contextual):
    budget = Budget.retain(total)
    assert (budget.dominant, budget.contextual, budget.total) == (dominant, contextual, total)
    assert budget.cls


def test_retain_spends_exactly_what_was_asked():
    budgets = [Budget.retain(total, has_cls=False) for total in range(1, 700)]
    assert [budget.total for budget in budgets] == list(range(1, 700))
    assert not any(budget.cls for budget in budgets)


def test_words():
    assert str(Budget(54, 10)) == "CLS + 53 patches + 10 contextual = 64 tokens"
    assert str(Budget(54, 10, cls=False)) == "54 patches + 10 contextual = 64 tokens"
    assert str(Budget(2, 0)) == "CLS + 1 patch + 0 contextual = 2 tokens"
    assert str(Budget(1, 0)) == "CLS + 0 patches + 0 contextual = 1 token"


def test_patches_are_the_dominant_tokens_without_cls():
    assert Budget(54, 10).patches == 53
    assert Budget(54, 10, cls=False).patches == 54


def test_all_keeps_everything():
    budget = Budget.all(576)
    assert budget == Budget(576, 0, cls=False)
    budget.check(576)


def test_counts_are_plain_integers():
    budget = Budget(np.int64(54), np.int32(10))
    assert type(budget.dominant) is int and type(budget.contextual) is int
    assert budget == Budget(54, 10) and hash(budget) == hash(Budget(54, 10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(0, 10), "dominant=0 must be at least 1"),
        (lambda: Budget(-3, 10), "dominant=-3 must be at least 1"),
        (lambda: Budget(54, -1), "contextual=-1 must be at least 0"),
        (lambda: Budget(54.0, 10), "dominant=54.0 must be an integer of at least 1"),
        (lambda: Budget("54", 10), "dominant='54' must be an integer of at least 1"),
        (lambda: Budget(True, 10), "dominant=True must be an integer of at least 1"),
        (lambda: Budget(54, False), "contextual=False must be an integer of at least 0"),
        (lambda: Budget(54, None), "contextual=None must be an integer of at least 0"),
        (lambda: Budget(54, 10, cls=1), "cls=1 must be True or False"),
        (lambda: Budget.retain(0), "retain=0 must be at least 1"),
        (lambda: Budget.retain(-64), "retain=-64 must be at least 1"),
        (lambda: Budget.retain(64.5), "retain=64.5 must be an integer of at least 1"),
        (lambda: Budget.retain(True), "retain=True must be an integer of at least 1"),
        (lambda: Budget.all(0), "tokens=0 must be at least 1"),
    ],
)
def test_impossible_budgets(make, message):
    with pytest.raises(BudgetError) as error:
        make()
    assert str(error.value) == message
    assert isinstance(error.value, ValueError)


def test_more_than_there_is():
    Budget(567, 10).check(577)
    with pytest.raises(BudgetError, match=r"budget of 578 tokens .*568 .*between 1 and 577"):
        Budget(568, 10, cls=False).check(577)


def test_budget_needs_no_torch():
    code = "import sys; from vzlib.tokens import Budget; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
