"""Every way to spend a budget of visual tokens, by name: a row here is all that a new one needs.

A method is written as its name, or with hyper-parameters that differ from the defaults:
"vispruner(important=0.3)", "pyramiddrop(layers=(4, 8, 16), keep=(0.5, 0.2, 0.1))". So it stands in
settings, sweeps, stored results and tables. Nothing is imported before it is asked for, and names
without hyper-parameters are checked without torch.
"""

import ast
import dataclasses
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from vzlib.parameters import unknown

Place = Literal["before", "inside"]


class Row(NamedTuple):
    """A method.

    where: module and name of its class. label: what figures and tables call it. family: what it
    chooses by, which gives its colour. place: before or inside the language model. draws: whether
    chance has a part in it. compared: whether notebook 06 measures it unless told otherwise; None
    if it cannot, as the method spends no given number of tokens. fields: hyper-parameters that
    differ from the defaults of the class.
    """

    where: str
    label: str
    family: str
    place: Place = "before"
    draws: bool = False
    compared: bool | None = True
    fields: Mapping[str, Any] = MappingProxyType({})

    @property
    def module(self) -> str:
        """The module whose code decides what the method does."""
        return self.where.partition(":")[0]


METHODS = {
    "vanilla": Row("vzlib.methods.vanilla:Vanilla", "all tokens", "all", compared=None),
    "visionzip": Row("vzlib.methods.visionzip:VisionZip", "VisionZip (code)", "VisionZip"),
    "visionzip-paper": Row(
        "vzlib.methods.visionzip:VisionZip",
        "VisionZip (paper)",
        "VisionZip",
        fields=MappingProxyType({"merge": "paper"}),
    ),
    "fastervlm": Row("vzlib.methods.fastervlm:FasterVLM", "FasterVLM", "attention"),
    "vispruner": Row("vzlib.methods.vispruner:VisPruner", "VisPruner", "diversity"),
    "divprune": Row("vzlib.methods.divprune:DivPrune", "DivPrune", "diversity"),
    "scope": Row("vzlib.methods.scope:SCOPE", "SCOPE", "diversity"),
    "holov": Row("vzlib.methods.holov:HoloV", "HoloV", "attention"),
    "hiprune": Row("vzlib.methods.hiprune:HiPrune", "HiPrune", "attention"),
    # Every question has its own tokens, which costs as much as many images: not compared unasked.
    "cdpruner": Row("vzlib.methods.cdpruner:CDPruner", "CDPruner", "question", compared=False),
    "mmtok": Row("vzlib.methods.mmtok:MMTok", "MMTok", "question", compared=False),
    "dart": Row("vzlib.methods.dart:DART", "DART", "question", compared=False),
    "prumerge-plus": Row("vzlib.methods.prumerge_plus:PruMergePlus", "PruMerge+", "merging"),
    "tome": Row("vzlib.methods.tome:ToMe", "ToMe", "merging"),
    "pooling": Row("vzlib.methods.pooling:Pooling", "average pooling", "control"),
    # Every budget shows the tower other images: not compared unasked.
    "downsampling": Row(
        "vzlib.methods.downsampling:Downsampling", "downsampling", "control", compared=False
    ),
    "uniform": Row("vzlib.methods.uniform:Uniform", "uniform", "control"),
    "random": Row("vzlib.methods.random:Random", "random", "control", draws=True),
    "fastv": Row("vzlib.methods.fastv:FastV", "FastV", "inside", "inside"),
    "sparsevlm": Row(  # v1.5
        "vzlib.methods.sparsevlm:SparseVLM", "SparseVLM", "inside", "inside", draws=True
    ),
    "sparsevlm-v1": Row(  # its counts depend on the prompt, so that it cannot meet a budget
        "vzlib.methods.sparsevlm:AdaptiveSparseVLM",
        "SparseVLM v1",
        "inside",
        "inside",
        draws=True,
        compared=None,
    ),
    "pyramiddrop": Row("vzlib.methods.pyramid_drop:PyramidDrop", "PyramidDrop", "inside", "inside"),
}


def names(place: Place | None = None) -> list[str]:
    """The names of all methods, or of those before or inside the language model."""
    return [name for name, row in METHODS.items() if place in (None, row.place)]


def row(text: str, place: Place | None = None) -> Row:
    """The row of a method as it is written. Raises ValueError naming the nearest and all."""
    name, allowed = bare(text), names(place)
    if name not in allowed:
        raise ValueError(f"method {unknown(name, allowed)}")
    return METHODS[name]


def bare(text: str) -> str:
    """The name alone of a method as it is written."""
    return text.partition("(")[0].strip()


def method(text: str, place: Place | None = None, **fields: Any) -> Any:
    """The method that is written so, with these hyper-parameters besides.

    Raises ValueError for a name that there is not, a hyper-parameter that it has not (naming the
    nearest and all allowed), a value that it does not allow, and for what is not written so.
    """
    found = row(text, place)
    module, _, attribute = found.where.partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    given, allowed = {**_written(text), **fields}, fields_of(kind)
    if wrong := [unknown(field, allowed or ["none"]) for field in given if field not in allowed]:
        raise ValueError(f"hyper-parameter of {bare(text)} {' '.join(wrong)}")
    return kind(**{**found.fields, **given})


def compared(text: str) -> str:
    """A method as it is written, for a comparison at budgets, in the one way that it is.

    Raises ValueError as `method` does, for a method that cannot spend a given number of tokens, and
    for a hyper-parameter that follows from the budget.
    """
    if row(text).compared is None:
        raise ValueError(f"{bare(text)} cannot be compared at a budget")
    if "(" not in text:
        return bare(text)
    found = method(text)
    if fitted := [field for field in _written(text) if field in found.fitted]:
        raise ValueError(f"{text}: {' and '.join(fitted)} cannot be set, as the budget decides it")
    return str(found.name)


def fields_of(kind: type) -> list[str]:
    """The hyper-parameters of a class."""
    return [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]


def name_of(method: Any) -> str:
    """How a method is written: the row of its class that differs least, and what differs."""
    kind = type(method)
    where = f"{kind.__module__}:{kind.__qualname__}"
    plain = {field.name: field.default for field in dataclasses.fields(kind)}
    own = {name: getattr(method, name) for name in plain}
    rows = {name: one.fields for name, one in METHODS.items() if one.where == where}
    rows = rows or {kind.__name__: {}}
    changed = {
        name: {key: value for key, value in own.items() if value != {**plain, **fields}[key]}
        for name, fields in rows.items()
    }
    name = min(changed, key=lambda each: len(changed[each]))
    return f"{name}({_listed(changed[name])})" if changed[name] else name


def label_of(text: str) -> str:
    """What figures and tables call a method, hyper-parameters told behind its label."""
    _, bracket, fields = text.partition("(")
    return f"{row(text).label}, {fields.removesuffix(')')}" if bracket else row(text).label


def _listed(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_plain(value)}" for name, value in fields.items())


def _plain(value: Any) -> str:
    if isinstance(value, str) and value.isidentifier():
        return value
    return str(tuple(value)) if isinstance(value, tuple) else repr(value)


def _written(text: str) -> dict[str, Any]:
    """The hyper-parameters in "name(field=value, ...)"."""
    _, bracket, inside = text.partition("(")
    if not bracket:
        return {}
    try:
        call = ast.parse(f"method({inside}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise ValueError
        given = {one.arg: ast.literal_eval(_Quoted().visit(one.value)) for one in call.keywords}
        if None in given or len(given) < len(call.keywords):  # unpacked, or given twice
            raise ValueError
        return {str(name): value for name, value in given.items()}
    except (SyntaxError, ValueError, TypeError):
        raise ValueError(
            f"method {text!r} must be written as name or name(field=value, ...), a value being a "
            "number, a word, True, False, None or a tuple of these"
        ) from None


class _Quoted(ast.NodeTransformer):
    """Words without quotes are texts."""

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(node.id)
