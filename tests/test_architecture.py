"""Imports point one way: the rooms of vzlib stand on floors; no arrow goes up or in a circle."""

import grimp
import pytest

# From the ground up. Rooms of one floor know nothing of each other.
FLOORS = (
    ("paths", "executed_cells"),
    ("parameters",),
    ("plain_yaml",),
    ("typed_values",),
    ("paper", "notebooks", "tokens"),
    ("methods", "scenes", "statistics", "results"),
    ("models", "plotting"),
    ("evaluation", "claims"),
    ("efficiency", "training"),
    ("experiments", "runs", "lmms_eval"),
    ("site",),
    ("embedded", "viewer"),
    ("commands",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


@pytest.fixture(scope="module")
def arrows() -> list[tuple[str, str]]:
    """Every import between two modules, below `vzlib.`: who imports whom."""
    graph = grimp.build_graph("vzlib", cache_dir=None)
    pairs = [
        (one.removeprefix("vzlib."), other.removeprefix("vzlib."))
        for one in graph.modules
        for other in graph.find_modules_directly_imported_by(one)
    ]
    assert len(pairs) > 300
    return [(one, other) for one, other in pairs if "vzlib" not in (one, other)]


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_a_floor(arrows):
    assert {room(module) for pair in arrows for module in pair} == set(FLOOR)


def test_no_import_points_up_or_aside(arrows):
    wrong = [
        f"{one} -> {other}"
        for one, other in arrows
        if room(one) != room(other) and FLOOR[room(one)] <= FLOOR[room(other)]
    ]
    assert wrong == []


def test_no_import_goes_in_a_circle(arrows):
    above: dict[str, set[str]] = {}
    for one, other in arrows:
        above.setdefault(one, set()).add(other)
        above.setdefault(other, set())
    while free := [name for name, others in above.items() if not others]:
        for name in free:
            del above[name]
        for others in above.values():
            others.difference_update(free)
    assert above == {}  # what is left imports itself, by way of others


def test_analyses_know_nothing_of_each_other(arrows):
    wrong = [
        f"{one} -> {other}"
        for one, other in arrows
        if room(one) == room(other) == "experiments"
        and one.count(".") > 1 < other.count(".")
        and one.split(".")[1] != other.split(".")[1]
    ]
    assert wrong == []


def test_what_measures_imports_nothing_that_draws_tells_or_decides(arrows):
    free = {"settings", "tell", "draw", "claims"}
    wrong = [
        f"{one} -> {other}"
        for one, other in arrows
        if room(one) == "experiments"
        and one.rpartition(".")[2] not in free
        and other.startswith("experiments.")
        and other.rpartition(".")[2] in free - {"settings"}
    ]
    assert wrong == []
