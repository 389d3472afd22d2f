import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from vzlib.methods.registry import METHODS, Row, names
from vzlib.plotting import look, styled
from vzlib.plotting.style import FAMILIES, LOOKS, looks

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}
TOGETHER = [
    tuple(names()),
    ("photographs", "scenes"),
    ("cls", "mean"),
    ("object", "background"),
]


def linear(colour):
    value = np.array(to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(colour):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ colour / np.array([0.9505, 1, 1.089])
    x, y, z = np.cbrt(np.clip(xyz, 0, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_method_has_a_look_and_a_marker_of_its_own():
    looks = [look(name) for name in METHODS]
    assert len({each.marker for each in looks}) == len({each.label for each in looks}) == len(looks)
    assert len(set(FAMILIES.values())) == len(FAMILIES)
    assert {row.family for row in METHODS.values()} == set(FAMILIES)
    for name, one in zip(METHODS, looks, strict=True):
        assert one.colour == FAMILIES[METHODS[name].family]


def test_every_method_is_readable_on_white():
    for colour in FAMILIES.values():
        luminance = linear(colour) @ np.array([0.2126, 0.7152, 0.0722])
        assert 1.05 / (luminance + 0.05) > 3.6, colour  # as WCAG counts it; 3 is enough for lines


def test_a_new_method_has_the_colour_of_its_family_and_a_marker_of_its_own(monkeypatch):
    for name in ("new", "newer"):
        monkeypatch.setitem(METHODS, name, Row("somewhere:new", name.title(), "diversity"))
    new, newer = look("new"), look("newer")
    assert (new.label, new.colour) == ("New", look("vispruner").colour)
    assert len({new.marker, newer.marker, *(each.marker for each in LOOKS.values())}) == 2 + len(
        {each.marker for each in LOOKS.values()}
    )


def test_methods_with_hyper_parameters_are_told_apart():
    names = ["vispruner", "vispruner(important=0.3)", "vispruner(important=0.7)", "scope"]
    drawn = looks([*names, "tome(rounds=2)"])
    assert [one.label for one in drawn.values()] == [
        "VisPruner", "VisPruner, important=0.3", "VisPruner, important=0.7", "SCOPE",
        "ToMe, rounds=2",
    ]  # fmt: skip
    assert len({one.marker for one in drawn.values()}) == 5
    assert {drawn[name].colour for name in names[:3]} == {look("vispruner").colour}
    with pytest.raises(ValueError, match="did you mean vispruner"):
        looks(["visprune(important=0.3)"])


@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: names[0])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_what_is_drawn_together_differs_for_colour_blind_readers(names, blindness):
    matrix, apart = np.array(BLINDNESS[blindness]), []
    for one, other in itertools.combinations(map(look, names), 2):
        assert one.marker != other.marker
        if one.colour != other.colour:  # methods of one family may share it
            seen = [lab(np.clip(matrix @ linear(each.colour), 0, 1)) for each in (one, other)]
            assert np.linalg.norm(seen[0] - seen[1]) > 12, (one, other)
            apart.append((one.colour, other.colour))
    assert apart


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="did you mean visionzip"):
        look("visionzipp")


def test_a_figure_ignores_the_settings_of_the_reader():
    @styled
    def empty():
        assert mpl.rcParams["font.size"] == 7.5
        return Figure()

    with mpl.rc_context({"font.size": 20, "axes.facecolor": "pink"}):
        figure = empty()
        assert mpl.rcParams["font.size"] == 20
        assert mpl.rcParams["axes.facecolor"] == "pink"
    assert figure.get_constrained_layout()
