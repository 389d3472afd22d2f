import pandas as pd
import pytest

from vzlib.experiments.quickstart import tell


def test_groups_are_counted_by_their_patches():
    tokens = pd.DataFrame(
        {
            "image": ["scene"] * 7 + ["photograph"] * 2,
            "dominant": [True, *[False] * 6, False, True],
            "group": [-1, 0, 1, 1, 2, 2, 2, 0, -1],
        }
    )
    sizes = tell.group_sizes(tokens)
    assert sizes.loc["scene"].tolist() == [3, 1, 2, 3]
    assert sizes.loc["photograph"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("given", "truth", "same"),
    [
        ("Yes.", "yes", True),
        ("79", "7 9", True),
        ("no", "yes", False),
        ("7 8", "7 9", False),
        ("A red one.", "red one", True),
        ("是", "否", False),
        ("$", "%", False),
        ("-5", "5", False),
        ("\u0915\u0940", "\u0915\u093e", False),  # two words of Hindi, apart in their vowel
        ("\uff17\u00a0\uff19", "7 9", True),
    ],
)
def test_compares_answers_as_a_reader_would(given, truth, same):
    answers = pd.DataFrame({"truth": [truth], "zipped": [given], "vanilla": [truth]})
    told = tell.judged(answers)
    assert told["zipped_right"].tolist() == [same] and told["vanilla_right"].all()
