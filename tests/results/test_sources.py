"""The fingerprint of an experiment's code changes when, and only when, that code changes."""

import functools
import subprocess
import sys
import types

import pytest

from vzlib.results import sources

MODULES = {
    "__init__.py": "_modules = {'vzlib.models.zip': ('zip_model',)}\n",
    "plotting.py": "colour = 1\n",
    "results.py": "from vzlib import unrelated\n",
    "unrelated.py": "x = 1\n",
    "tokens/__init__.py": "from vzlib.tokens.merging import merge\n",
    "tokens/merging.py": '"""Merge."""\n\ndef merge(a):\n    """Doc."""\n    return a + 1\n',
    "tokens/budget.py": "size = 64\n",
    "models/__init__.py": "",
    "models/llava.py": "from ..tokens import merge\n",
    "models/video.py": "frames = 8\n",
    "experiments/__init__.py": "",
    "experiments/settings.py": "default = 3\n",
    "experiments/layers.py": (
        "import numpy\n"
        "from vzlib import plotting, results\n"
        "from vzlib.experiments.settings import default\n"
        "def run(settings):\n"
        "    from ..models import llava\n"
        "    return llava\n"
    ),
}


@pytest.fixture
def root(tmp_path):
    for name, text in MODULES.items():
        path = tmp_path / "vzlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(settings):
    """Stands for vzlib.experiments.layers.run."""


run.__module__ = "vzlib.experiments.layers"


def fingerprint(root, function=run, **more):
    sources._tree.cache_clear()
    sources._code.cache_clear()
    sources.of_module.cache_clear()
    return sources.fingerprint(function, root, **more)


def test_reachable_follows_every_kind_of_import(root):
    assert set(sources.reachable(["vzlib.experiments.layers"], root)) == {
        "vzlib.experiments",
        "vzlib.experiments.layers",
        "vzlib.models",
        "vzlib.models.zip",
        "vzlib.tokens",
        "vzlib.tokens.merging",
    }


def test_reachable_follows_lazy_exports(root):
    (root / "vzlib/experiments/layers.py").write_text("from vzlib import zip_model\n")
    assert "vzlib.tokens.merging" in sources.reachable(["vzlib.experiments.layers"], root)


@pytest.mark.parametrize("name", ["experiments/layers.py", "tokens/merging.py", "models/llava.py"])
def test_code_that_is_used_counts(root, name):
    before = fingerprint(root)
    with (root / "vzlib" / name).open("a") as file:
        file.write("changed = True\n")
    assert fingerprint(root) != before


@pytest.mark.parametrize(
    "name",
    ["plotting.py", "results.py", "unrelated.py", "experiments/settings.py", "models/video.py"],
)
def test_code_that_is_not_used_or_does_not_measure_does_not_count(root, name):
    before = fingerprint(root)
    with (root / "vzlib" / name).open("a") as file:
        file.write("changed = True\n")
    assert fingerprint(root) == before


def test_modules_set_apart_do_not_count_nor_what_only_they_import(root):
    apart = {"apart": ["vzlib.models.zip"]}
    before = fingerprint(root), fingerprint(root, **apart)
    assert before[0] != before[1]
    (root / "vzlib/models/zip.py").write_text("from ..tokens import budget\n")
    (root / "vzlib/tokens/merging.py").write_text("other = 1\n")
    assert (fingerprint(root) != before[0], fingerprint(root, **apart)) == (True, before[1])
    (root / "vzlib/experiments/layers.py").write_text("from vzlib.tokens import merging\n")
    assert fingerprint(root, **apart) != before[1]


def test_comments_docstrings_and_layout_do_not_count(root):
    before = fingerprint(root)
    (root / "vzlib/tokens/merging.py").write_text(
        '"""Other words."""\n# why\ndef merge( a ):\n    """Longer."""\n    return (a +\n  1)\n'
    )
    assert fingerprint(root) == before


def test_a_partial_and_a_lambda_count_with_the_modules_they_name(root):
    assert fingerprint(root, functools.partial(run, 1)) == fingerprint(root)
    layers = types.ModuleType("vzlib.experiments.layers")

    def in_a_notebook(settings):
        return [layers.run(settings) for _ in range(2)]

    before = fingerprint(root, in_a_notebook)
    (root / "vzlib/unrelated.py").write_text("x = 2\n")
    assert fingerprint(root, in_a_notebook) == before
    (root / "vzlib/tokens/merging.py").write_text("def merge(a): return a + 2\n")
    assert fingerprint(root, in_a_notebook) != before


def test_source_that_cannot_be_read_is_an_error(root):
    with pytest.raises(ValueError, match="define it in a module of vzlib"):
        fingerprint(root, len)


def test_no_torch_is_imported_to_fingerprint_the_real_code():
    code = (
        "import sys; from vzlib import sources\n"
        "found = sources.reachable(['vzlib.models.zip'])\n"
        "assert 'vzlib.tokens.merging' in found, found\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
