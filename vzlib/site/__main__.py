"""Assembles and builds the site, then follows every link: `python -m vzlib.site`.

From any page, the notebook of any figure is at most two clicks away.
"""

import os
import subprocess
import sys

from vzlib.paths import FIGURES, REPOSITORY
from vzlib.runs.figures import drawn
from vzlib.site.assemble import assemble
from vzlib.site.links import broken, far

SOURCE = REPOSITORY / "results" / "docs"  # as mkdocs.yml says
SITE = REPOSITORY / "results" / "site"


def main() -> int:
    """Returns 0 when the site is built, no link is broken and no figure's notebook is far."""
    for name in assemble(SOURCE):
        print(f"{name} is shown without outputs: vzlib figures executes it", file=sys.stderr)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # of the theme, about its future
    if status := subprocess.run(command, cwd=REPOSITORY, env=quiet).returncode:
        return status
    for link in (lost := broken(SITE)):
        print(f"broken link: {link}", file=sys.stderr)
    drawing = {f"notebooks/{one.notebook}.html" for one in drawn(FIGURES) if one.notebook}
    for way in (long := far(SITE, sorted(drawing))):
        print(f"more than two clicks: {way}", file=sys.stderr)
    pages = sum(1 for _ in SITE.rglob("*.html"))
    print(f"{SITE / 'index.html'}: {pages} pages, {len(lost)} broken links")
    return 1 if lost or long else 0


if __name__ == "__main__":
    sys.exit(main())
