"""Do the tests notice? Small faults, put into the code one at a time: `make mutants`.

A sample of places where a comparison, a sign, a number or a condition can be turned, in the rooms
whose numbers and pictures people read. For each the fast tests of its room run in a copy of the
repository; a fault that they all pass is printed with its line, to be given a test or, where
nothing can tell it from the right code, to be left. Error texts and annotations are not touched.
"""

import argparse
import ast
import copy
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
# By room: its files, and the tests that are to notice.
ROOMS = {
    "tokens": (["vzlib/tokens/*.py"], ["tests/tokens"]),
    "statistics": (["vzlib/statistics/*.py"], ["tests/statistics", "tests/claims"]),
    "plotting": (
        ["vzlib/plotting/*.py", "vzlib/experiments/*/draw*.py"],
        ["tests/plotting", "tests/experiments/*/test_draw*.py"],
    ),
    "claims": (
        ["vzlib/claims/*.py", "vzlib/experiments/*/claims.py", "vzlib/experiments/claims/*.py"],
        ["tests/claims", "tests/experiments/*/test_claims.py", "tests/experiments/claims"],
    ),
}
SECONDS = 300  # of a processor for the tests of one fault; an endless loop is noticed, too
TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip


class Mutant(NamedTuple):
    """A file with one fault, in the expression of that number: its line before and after."""

    path: Path
    number: int
    line: int
    before: str
    after: str

    def text(self) -> str:
        """The whole file with the fault."""
        tree = _tree(self.path)
        _turn(list(_reached(tree))[self.number])
        return ast.unparse(tree)


def mutants(path: Path) -> Iterator[Mutant]:
    """Every fault that can be put into a file."""
    for number, node in enumerate(_reached(_tree(path))):
        twin = copy.deepcopy(node)
        if _turn(twin):
            yield Mutant(path, number, node.lineno, ast.unparse(node), ast.unparse(twin))


def _tree(path: Path) -> ast.Module:
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))


def _reached(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that run, but for error texts and annotations."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params") or isinstance(value, ast.Raise):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise):
                if isinstance(child, ast.expr):
                    yield child
                yield from _reached(child)


def _turn(node: ast.expr) -> bool:
    """Put a fault into one expression, if there is one to put."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in TURNED:
            node.ops = [TURNED[type(operator)]()]
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in TURNED:
            if isinstance(operator, ast.Add) and "'" in ast.unparse(node):
                return False  # texts
            node.op = TURNED[type(operator)]()
        case ast.UnaryOp(op=ast.USub()):
            node.op = ast.UAdd()
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=int(value)):
            node.value = value + 1
        case ast.Constant(value=float(value)):
            node.value = 2 * value + 0.1
        case _:
            return False
    return True


def _noticed(mutant: Mutant, tests: list[str], copies: SimpleQueue) -> bool:
    place = copies.get()
    target = place / mutant.path
    right = target.read_text(encoding="utf-8")
    try:
        target.write_text(mutant.text(), encoding="utf-8")
        found = [str(path) for test in tests for path in sorted(place.glob(test))]
        own = f"/{mutant.path.parent.name}/"  # those beside it come first: they notice soonest
        found.sort(key=lambda path: own not in f"{path}/")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *found]
        with subprocess.Popen(
            command,
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS)),
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
        ) as tests_:
            try:
                return tests_.wait(20 * SECONDS) != 0
            except subprocess.TimeoutExpired:
                os.killpg(tests_.pid, signal.SIGKILL)  # with what the tests started
                return True
    finally:
        target.write_text(right, encoding="utf-8")
        copies.put(place)


def main() -> int:
    """Print the score of every room and what went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", default=list(ROOMS), help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--each", type=int, default=40, help="faults in each room")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2, help="at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies: SimpleQueue = SimpleQueue()
        for number in range(options.jobs):
            place = Path(folder, str(number))
            skipped = shutil.ignore_patterns(".*", "results", "__pycache__", "*.egg-info")
            shutil.copytree(REPOSITORY, place, ignore=skipped)
            copies.put(place)
        for room in options.rooms:
            patterns, tests = ROOMS[room]
            paths = [path for one in patterns for path in sorted(REPOSITORY.glob(one))]
            all_ = [each for path in paths for each in mutants(path.relative_to(REPOSITORY))]
            chosen = random.Random(options.seed).sample(all_, min(options.each, len(all_)))
            found = list(pool.map(lambda one, t=tests: _noticed(one, t, copies), chosen))
            print(f"{room}: {sum(found)} of {len(found)} noticed, of {len(all_)}", flush=True)
            for each, noticed in zip(chosen, found, strict=True):
                if not noticed:
                    print(f"  {each.path}:{each.line}: {each.before}  ->  {each.after}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
