"""What the parameters cell of a notebook set, told by the cells that its kernel has run.

A second "Run All" finds in the kernel all that the first one made, and whatever was tried in
between. Only names that the parameters cell gave values to, and the one that papermill puts after
it, are parameters.
"""

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

INJECTED = "# Parameters\n"  # how the cell begins that papermill puts in
NEAR = 0.6  # of `difflib`, from which a name is a misspelt one


def assigned(namespace: Mapping[str, Any], fields: Collection[str]) -> set[str]:
    """The names of `namespace` that count as parameters.

    Where no cells are known, in a script or with a plain mapping, all of them. In a notebook those
    that its parameters cell set: the last one run that gave values to half of `fields` or more; and
    those of papermill's cell after it. A kernel that kept no record of such a cell is asked for
    `fields`, and for names that are near to one that is missing.
    """
    shell = _shell()
    if shell is None or namespace is not shell.user_ns:
        return set(namespace)
    names: set[str] = set()
    injected = found = False
    for source in reversed(shell.history_manager.input_hist_raw):
        own = set(_set_by(source))
        if source.lstrip().startswith(INJECTED):
            names |= set() if injected else own  # those before are of earlier runs
            injected = True
        elif found := len(common := own & set(fields)) > 0 and 2 * len(common) >= len(fields):
            names |= own
            break
    if injected or found:
        return names & set(namespace)
    missing = [field for field in fields if field not in namespace]
    return {
        name
        for name in namespace
        if name in fields or get_close_matches(name, missing, n=1, cutoff=NEAR)
    }


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _set_by(source: str) -> Iterator[str]:
    """Names that a cell gives values to, before it calls `validate` if it does."""
    lines = ("" if line.lstrip()[:1] in ("%", "!", "?") else line for line in source.splitlines())
    try:
        statements = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError):
        return
    while statements:
        statement = statements.pop(0)
        if any(_validates(node) for node in ast.walk(statement)):
            return
        if isinstance(statement, ast.If | ast.With | ast.Try):
            statements[:0] = statement.body
        elif isinstance(statement, ast.Assign):
            targets = [node for target in statement.targets for node in ast.walk(target)]
            yield from (node.id for node in targets if isinstance(node, ast.Name))
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
            yield from [statement.target.id] if isinstance(statement.target, ast.Name) else []


def _validates(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "validate"
