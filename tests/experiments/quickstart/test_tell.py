import pandas as pd

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
