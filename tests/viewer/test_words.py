import re

import numpy as np
import torch

from vzlib.efficiency.parts import PARTS
from vzlib.tokens.evidence import Reduced
from vzlib.viewer.asking import Answered
from vzlib.viewer.fates import of_reduced
from vzlib.viewer.words import of_attention, of_patch, table

TIMES = dict(zip(PARTS, (10.0, 1.0, 2.0, 30.0, 4.0), strict=True))


def test_the_table_says_answers_tokens_and_parts_and_escapes_what_people_write():
    answers = [
        Answered("all tokens", "<b>yes", 576, 576.0, TIMES),
        Answered("FastV", "no", 576, 96.83, dict.fromkeys(PARTS, 5.0), None, "96.83 in a layer"),
    ]
    told = table(answers, truth="<i>")
    assert "&lt;b&gt;yes" in told and "<b>yes" not in told and "<b>&lt;i&gt;</b>" in told
    assert "<b>47</b> = 10 + 1 + 2 + 30 + 4" in told and "96.83 tokens a layer" in told
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", told)]
    assert abs(sum(widths[:5]) - 100) < 0.05  # the longest is the whole bar
    assert abs(sum(widths[5:]) - 100 * 25 / 47) < 0.05


def test_a_patch_is_told_where_it_went():
    places, sources = torch.tensor([[0, 4]]), torch.tensor([[0, 1, -1, -1, 1, 1, -1, -1, -1]])
    fates = of_reduced(Reduced(torch.zeros(1, 2, 1), places, sources), False, layers=2)
    assert of_patch(fates, 0, 3) == "Row 1, column 1: stays as it is."
    assert of_patch(fates, 2, 3) == "Row 1, column 3: left out; nothing of it is handed on."
    assert of_patch(fates, 5, 3) == (
        "Row 2, column 3: one of 3 patches that became merged token 1, which stands at row 2, "
        "column 2."
    )


def test_attention_is_told_by_how_few_patches_get_half_of_it():
    weights = np.full((4, 4), 0.01)
    weights[1, 2] = 0.6
    told = of_attention(weights, 6, 11)
    assert told == (
        "Row 2, column 3, layer 11: half of what it gives to patches goes to 1 of them, "
        "80.0% to itself."
    )
