"""What is written in a YAML file is what is given, or it is refused with its line."""

import json
import math

import pytest

from vzlib import plain_yaml


@pytest.mark.parametrize(
    "written, value",
    [
        *((text, text) for text in ("no", "Yes", "on", "off", "y", "n", "12:30", "12:30:45")),
        *((text, text) for text in ("2024-01-01", "2024-01-01T10:00:00", "0x10", "0o7", "0b1")),
        *((text, text) for text in ("007", "1_000", "0123", "=", "1.2.3", "1,5", "+", "e3", "nan")),
        *((text, text) for text in ("http://a.b/c#d", "a#b", "日本 語", "half 🚀")),
        ("8", 8), ("-2", -2), ("+3", 3), ("0", 0), ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5),
        ("2.", 2.0), ("-0.25", -0.25), ("6.02e+23", 6.02e23), (".inf", math.inf),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("'8'", "8"), ('"no"', "no"), ("'null'", "null"), ('"a #1"', "a #1"), ("'~'", "~"),
        ("text  # a comment", "text"), ("[a, 1, [x]]  # of three", ["a", 1, ["x"]]),
        ("{a: no, b: 1e-3}", {"a": "no", "b": 0.001}),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like(written, value):
    got = plain_yaml.parse(f"name: {written}\n", "here")["name"]
    assert (type(got), got) == (type(value), value)


def test_what_json_writes_is_read_back():
    value = {"a": [1, 0.5, 1e-9, None, True, "no", 'é 🚀 " \\ \n #1', "12:30"], "b": {"c": []}}
    assert plain_yaml.parse(json.dumps(value), "here") == value
    assert plain_yaml.parse(json.dumps(value, indent=1, ensure_ascii=False), "here") == value


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: 1\nb: 2\na: 3\n", "here, line 3, column 1: 'a' stands twice"),
        ("a: {b: 1, b: 1}", "here, line 1, column 11: 'b' stands twice"),
        ("\nq: is it #1 ?\n", "line 2, column 4: '#1 ?' after 'is it' would be cut off; quote"),
        ("a: !!binary aGVsbG8=", "column 4: the tag !!binary is not allowed"),
        ("a: !!str 3", "the tag !!str is not allowed"),
        ("a: ! 3", "the tag ! is not allowed"),
        ("a: !!set {b}", "the tag !!set is not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "is not allowed"),
        ("base: &b {a: 1}\n<<: *b\n", "line 2, column 1: merge keys"),
        ("1: a", "the name 1 is no text"),
        ("null: a", "the name None is no text"),
        ("[a]: b", "the name ['a'] is no text"),
        ("a: &b [1, *b]", "contains itself"),
        ("a: 1e400", "1e400 is too large"),
        ("a: *.jpg", "here, line 1, column 5: "),
        ("a: @home.jpg", "here, line 1, column 4: "),
        ("a: what: is: it", "here, line 1, column 8: "),
        ("a: [what", "here, line 1, column 9: "),
        ("a: 1\n---\nb: 2\n", "here, line 2"),
        ("a: 1\n\tb: 2", "here, line 2"),
        ("a:\n  b\u2028c", "here, line 2: the letter '\\u2028' is not allowed"),
        ("a: b\x07", "here, line 1: the letter '\\x07' is not allowed"),
        ('a: "\\ud83d"', "here, line 1, column 4: '\\ud83d' holds half a letter"),
        ("[" * 5000, "here"),
    ],
)
def test_what_could_mean_something_else_is_refused_in_one_line(text, said):
    with pytest.raises(ValueError) as caught:
        plain_yaml.parse(text, "here")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_anchors_stand_for_their_value():
    assert plain_yaml.parse("a: &x [1, 2]\nb: *x\nc: [*x, *x]\n", "here") == {
        "a": [1, 2], "b": [1, 2], "c": [[1, 2], [1, 2]],
    }  # fmt: skip


def test_files_are_named(tmp_path):
    path = tmp_path / "some.yaml"
    for content, said in (
        (b"a: b: c", f"{path}, line 1, column 5: "),
        (b"- 3\n", f"{path} holds a list; allowed: name: value lines"),
        (b"word", f"{path} holds a str; allowed"),
        (b"a: \xff", f"{path} cannot be read: byte 3 is no UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            plain_yaml.mapping(path)
        assert str(caught.value).startswith(said)
    path.write_bytes(b"\xef\xbb\xbfa: no\r\nb: 1\r\n")
    assert plain_yaml.mapping(path) == {"a": "no", "b": 1}
    path.write_bytes(b"")
    assert plain_yaml.mapping(path) == {}
    for wrong in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ValueError, match=f"{wrong} cannot be read: "):
            plain_yaml.read(wrong)
