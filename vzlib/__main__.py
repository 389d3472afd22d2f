"""vzlib: reproduce the paper, measure, redraw, ask. `vzlib COMMAND --help` says what each takes.

Ends with 0 when all is well, 1 when something failed, 2 for a wrong command and 130 when stopped.
"""

import sys
from collections.abc import Sequence

from vzlib.commands import looks, results, runs
from vzlib.commands.command import group, paired

# jsonschema would build a grammar of international addresses, 1.3 s in every job, to check a format
# that no notebook has. It does without when this cannot be imported.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

app = group(help=__doc__, add_completion=False)
app.add_typer(runs.commands)
app.add_typer(looks.commands)
app.add_typer(results.commands, name="results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=list(paired(given)), prog_name="vzlib")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
