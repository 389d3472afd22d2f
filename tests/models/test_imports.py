"""`import vzlib` is quick, and every name it offers is there."""

import subprocess
import sys

import pytest

import vzlib


def test_import_waits_neither_for_torch_nor_for_models_of_transformers():
    code = (
        "import sys, vzlib; assert vzlib.__version__; vzlib.Budget.retain(64);"
        "heavy = {'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules);"
        "assert not heavy, heavy; vzlib.zip_model; assert 'torch' in sys.modules;"
        "models = [each for each in sys.modules if each.startswith('transformers.models.')];"
        "assert not models, models"  # families and towers are known by name
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_offered_name_is_there():
    assert {name for name in vzlib.__all__ if not callable(getattr(vzlib, name))} == {"methods"}
    assert set(vzlib.__all__) <= set(dir(vzlib))


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="zipmodel"):
        vzlib.zipmodel  # noqa: B018
