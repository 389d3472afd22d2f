"""Which source a result depends on: the import graph of vzlib, read as text and never imported."""

import ast
import functools
import hashlib
import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vzlib.paths import REPOSITORY

PACKAGE = "vzlib"
# What draws, stores, tells or checks, but measures nothing; and the tables of methods and families,
# since a point names the module of its own.
NOT_MEASURING = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "claims",
        "methods.registry",
        "models.families",
        "notebooks",
        "parameters",
        "paths",
        "plotting",
        "results",
        "runs",
        "statistics",
    )
)
# Modules of an analysis that measure nothing. Settings enter a key by their values.
OF_ANALYSES = ("settings", "tell", "draw", "claims")


def fingerprint(
    function: Callable[..., Any], root: Path = REPOSITORY, uses: Iterable[str] = ()
) -> str:
    """Hash of the code of `function` and of every vzlib module it reaches through imports.

    Comments, docstrings, layout and the texts of errors do not count. Of a package that only hands
    on names of its modules those count whose names are imported, or all if it is itself. A function
    defined outside vzlib (a notebook, a test) counts with its own text and the vzlib modules it
    names. A module imported by a computed name is not seen: name it in `uses`. `root` is the folder
    that holds the package.

    Raises:
        ValueError: the source of `function` cannot be read.
    """
    function = _innermost(function)
    module = _module(function)
    if inside(module):
        return of_module(module, root, frozenset(uses))
    return _fingerprint([*_named_modules(function), *uses], _text(function), root)


@functools.cache
def of_module(name: str, root: Path = REPOSITORY, uses: frozenset[str] = frozenset()) -> str:
    """`fingerprint` of any function that the vzlib module `name` defines."""
    return _fingerprint([name, *uses], "", root)


def of_text(code: str, root: Path = REPOSITORY) -> str:
    """Fingerprint of a piece of code outside vzlib, such as the cells of a notebook.

    All methods count, since it is not known which of them the code will name.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = ast.parse(code)
    methods = (f"{PACKAGE}.methods.{path.stem}" for path in (root / PACKAGE).glob("methods/*.py"))
    imported = _imports("", Path("code.py"), root, tree)
    return _fingerprint([*imported, *methods], ast.unparse(tree), root)


def name(function: Callable[..., Any]) -> str:
    """Where a function is defined: "vzlib.experiments.redundancy.measure:_measure"."""
    function = _innermost(function)
    return f"{_module(function)}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _module(function: Callable[..., Any]) -> str:
    return getattr(function, "__module__", None) or type(function).__module__


def _fingerprint(roots: Iterable[str], text: str, root: Path) -> str:
    digest = hashlib.sha256(text.encode())
    for name, path in sorted(reachable(roots, root).items()):
        digest.update(f"\0{name}\0{_code(path)}".encode())
    return digest.hexdigest()


def reachable(names: Iterable[str], root: Path = REPOSITORY) -> dict[str, Path]:
    """The measuring modules of vzlib that `names` import, directly or not, `names` included."""
    found: dict[str, Path] = {}
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        path = _file(name, root)
        if path is None or name in seen or _excluded(name):
            continue
        seen.add(name)
        if _hands_on(path):
            path = _stub(path)
        else:
            found[name] = path
        waiting.extend(_imports(name, path, root))
        # Importing a module runs the packages above it, which may do more than hand on names.
        parent = name.rpartition(".")[0]
        above = _file(parent, root)
        if above is not None and not _hands_on(above):
            waiting.append(parent)
    return found


def inside(name: str) -> bool:
    """Whether a module of that name is one of vzlib, be there such a module or not."""
    return name == PACKAGE or name.startswith(PACKAGE + ".")


def _excluded(name: str) -> bool:
    """Whether a module measures nothing, by its room or, in an analysis, by its name."""
    if any(name == other or name.startswith(other + ".") for other in NOT_MEASURING):
        return True
    return name.startswith(f"{PACKAGE}.experiments.") and name.rpartition(".")[2] in OF_ANALYSES


def _file(name: str, root: Path) -> Path | None:
    """The file of the vzlib module `name`, or None when there is no such module."""
    if not inside(name) or not all(part.isidentifier() for part in name.split(".")):
        return None
    path = root.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(name: str, path: Path, root: Path, tree: ast.Module | None = None) -> Iterator[str]:
    """Names of the modules that one module imports; some may not exist."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in _telling(tree) if tree else _telling_of(_read(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if _file(module, root) else _defining(base, alias.name, root)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield package + node.value if node.value.startswith(".") else node.value


def _telling(tree: ast.Module) -> list[ast.AST]:
    """The parts of a module that may name others: imports, and the texts of lazy exports."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        # The package's own name says nothing.
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value)
    ]


@functools.cache
def _telling_of(text: str) -> list[ast.AST]:
    return _telling(_parsed(text))


def _defining(package: str, name: str, root: Path) -> str:
    """The module from which a package hands on a name, or the package itself."""
    path = _file(package, root)
    if path is None or path.name != "__init__.py":
        return package
    for node in ast.walk(_tree(_stub(path))):
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            return f"{package}.{node.module}" if node.level else str(node.module)
    return package


def _stub(path: Path) -> Path:
    """What lists the names that a package hands on: its stub, if it loads them lazily."""
    stub = path.with_suffix(".pyi")
    return stub if stub.is_file() else path


def _hands_on(path: Path) -> bool:
    """Whether a file does nothing but hand on names of other modules."""
    return path.name == "__init__.py" and all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and _is_private(node))
        for node in _tree(path).body
    )


def _is_private(node: ast.Assign) -> bool:
    """Whether an assignment is to names such as `__all__` alone."""
    names = [part.id for target in node.targets for part in ast.walk(target)
             if isinstance(part, ast.Name)]  # fmt: skip
    return all(name.startswith("__") for name in names)


def _named_modules(function: Callable[..., Any]) -> set[str]:
    """The vzlib modules behind the global and enclosing names that a function uses."""
    function = inspect.unwrap(function)
    if not isinstance(function, types.FunctionType):
        return set()
    codes, names = [function.__code__], set()
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    values = [function.__globals__.get(name) for name in names]
    values += [cell.cell_contents for cell in function.__closure__ or ()]
    modules = (
        value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", "")
        for value in values
    )
    return {module for module in modules if isinstance(module, str) and inside(module)}


def _text(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        raise ValueError(
            f"the source of {function!r} cannot be read; define it in a module of {PACKAGE}"
        ) from None


@functools.cache
def _read(path: Path) -> str:
    # Cached: a process works with the code it imported, not with later edits of the file.
    return path.read_text(encoding="utf-8")


def _tree(path: Path) -> ast.Module:
    return _parsed(_read(path))


_parsed = functools.cache(ast.parse)  # of the text, as copies of the package hold the same


def _code(path: Path) -> str:
    """The code of a file without comments, docstrings, layout and texts of errors."""
    return _bare(_read(path))


@functools.cache
def _bare(text: str) -> str:
    tree = ast.parse(ast.unparse(_parsed(text)))
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.Raise):
            _Wordless().visit(node)
    return ast.unparse(tree)


class _Wordless(ast.NodeTransformer):
    """Empties texts."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        return ast.Constant("")
