"""YAML as people read it: what was written is what is given, or it is refused with its line.

Nothing is taken for a date, a time, a yes or a number of another base: `no`, `12:30`, `2024-01-01`,
`0x10`, `007` and `1_000` are texts; `true`, `null`, `~`, `8` and `1e-3` are what they look like, as
in the core schema of YAML 1.2. A key that stands twice or is no text, tags such as `!!binary`,
merge keys and a text that a `#` would cut are refused.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

WORDS = {
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan,
}  # fmt: skip
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# Ends of lines in YAML 1.1 and letters in YAML 1.2: what was written would be folded.
FOLDED = re.compile("[\x85\u2028\u2029]")


def read(path: Path) -> Any:
    """What a file holds; None if it is empty.

    Raises:
        ValueError: it cannot be read, or holds what is not allowed; one line, with the place.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read: byte {error.start} is no UTF-8") from None
    return parse(text, str(path))


def mapping(path: Path) -> dict[str, Any]:
    """The `name: value` lines of a file; none if it is empty.

    Raises:
        ValueError: as `read`, and if it holds something else.
    """
    content = read(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; allowed: name: value lines")
    return content


def parse(text: str, where: str, *, comments: bool = True) -> Any:
    """What a text says; None if it is empty.

    where: names the text in errors. comments: whether one may stand after the value.

    Raises:
        ValueError: it says what is not allowed; one line, with the place.
    """
    if found := FOLDED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"{where}, line {line}: the letter {found[0]!r} is not allowed")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        value = None if node is None else _value(node, text, ())
        rest = text[node.end_mark.index if node else 0 :].strip()
        if rest and not comments:
            raise ValueError(f"{where}: {rest!r} would be cut off as a comment")
        return value
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        letter = chr(error.character) if isinstance(error.character, int) else error.character
        raise ValueError(f"{where}, line {line}: the letter {letter!r} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = " ".join(str(error.problem or error.context).split())
        raise ValueError(f"{where}{place}: {said}") from None
    except RecursionError:
        raise ValueError(f"{where}: nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """Leaves every value a text, and allows no tag."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012, as the class above has it

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            raise _error(event, f"the tag {short} is not allowed; write the value alone, or quoted")
        return super().compose_node(parent, index)


def _error(at: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def _value(node: yaml.Node, text: str, within: tuple[yaml.Node, ...]) -> Any:
    if any(node is each for each in within):
        raise _error(node, "a value that contains itself is not allowed")
    inside = (*within, node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, text, inside) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, text, inside)
    assert isinstance(node, yaml.ScalarNode)
    return _whole(node) if node.style else _plain(node, text)


def _whole(node: yaml.ScalarNode) -> str:
    """A quoted text; a letter that JSON writes as two halves is one letter."""
    try:
        return str(node.value.encode("utf-16", "surrogatepass").decode("utf-16"))
    except UnicodeDecodeError:
        raise _error(node, f"{node.value!r} holds half a letter") from None


def _mapping(node: yaml.MappingNode, text: str, inside: tuple[yaml.Node, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _value(key_node, text, inside)
        if key_node.value == "<<" and not key_node.style:
            raise _error(key_node, "merge keys (<<) are not allowed; write the lines out")
        if not isinstance(key, str):
            raise _error(key_node, f"the name {key!r} is no text; quote it if it is meant")
        if key in found:
            raise _error(key_node, f"{key!r} stands twice")
        found[key] = _value(value_node, text, inside)
    return found


def _plain(node: yaml.ScalarNode, text: str) -> Any:
    """The value of a text without quotes."""
    written = node.value
    if written in WORDS:
        return WORDS[written]
    if WHOLE.fullmatch(written):
        return int(written)
    if NUMBER.fullmatch(written):
        value = float(written)
        if math.isinf(value):
            raise _error(node, f"{written} is too large for a number")
        return value
    # Comments have a blank after the hash; without one, "is it #1 ?" is meant as it stands.
    if cut := re.match(r"[ \t]+#\S.*", text[node.end_mark.index :]):
        raise _error(node, f"{cut[0].strip()!r} after {written!r} would be cut off; quote the text")
    return written
