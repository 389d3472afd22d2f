"""Scores against values worked out by hand."""

import pytest

from vzlib.evaluation.scoring import exact, plain, vqa, vqa_plain


@pytest.mark.parametrize(
    ("said", "answers", "score"),
    [
        ("Red", ["red"], 1),
        (" the red  car. ", ["A red car"], 1),
        ("'yes'", ["no", "Yes!"], 1),
        ("red car", ["red"], 0),
        ("5", ["-5"], 0),
        ("50", ["50%"], 0),
        ("two", ["2"], 0),
        ("a", ["A"], 1),
        ("the", ["A"], 0),
        ("", ["a"], 0),
        ("STRASSE", ["straße"], 1),
    ],
)
def test_exact(said, answers, score):
    assert exact(said, answers) == score


ALIKE = {
    "full-width digits": ("\uff14\uff12", "42"),
    "full-width letters": ("\uff33\uff34\uff2f\uff30\uff01", "stop"),
    "accents in two codes": ("cafe\u0301", "caf\u00e9"),
    "two accents in another order": ("a\u0323\u0302", "a\u0302\u0323"),
    "hangul in parts": ("\u1112\u1161\u11ab", "\ud55c"),
    "a ligature": ("\ufb01ve", "five"),
    "a space that does not break": ("red\u00a0car", "red car"),
    "a wide space around": ("\u3000dog.\u2009", "dog"),
    "a letter without width": ("do\u200bg\ufeff", "dog"),
    "a soft hyphen": ("stop\u00adsign", "stopsign"),
    "the sharp s": ("STRASSE", "stra\u00dfe"),
    "a hyphen that does not break": ("t\u2011shirt", "t-shirt"),
    "a minus sign": ("\u22125", "-5"),
    "an apostrophe": ("it\u2019s", "it's"),
    "the angstrom sign": ("\u212b", "\u00e5"),
    "the kelvin sign": ("\u212a", "k"),
    "the final sigma": ("\u03a3\u039f\u03a6\u039f\u03a3", "\u03c3\u03bf\u03c6\u03bf\u03c2"),
    "half-width katakana": ("\uff76\uff9e", "\u30ac"),
    "a full stop of Chinese": ("\u662f\u3002", "\u662f"),
    "letters that are numbers": ("\u2163", "iv"),
}


@pytest.mark.parametrize("pair", ALIKE.values(), ids=ALIKE)
@pytest.mark.parametrize("turned", [False, True])
def test_what_looks_the_same_is_the_same(pair, turned):
    one, other = reversed(pair) if turned else pair
    assert exact(one, [other]) == 1
    assert plain(one) == plain(other)
    if other != "\u662f" and one != "\u662f":
        assert vqa(one, [other] * 4) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0430", "b"),
        ("c\u0430t", "cat"),  # a Cyrillic letter
        ("\u0391", "a"),  # a Greek one
        ("10\u00b2", "102"),
        ("5\u00bd", "51/2"),
        ("\u00e9", "e"),
        ("l", "1"),
        ("0", "O"),
        ("\u0663", "3"),  # an Arabic digit
    ],
)
def test_letters_of_other_scripts_and_other_numbers_stay_different(one, other):
    assert exact(one, [other]) == exact(other, [one]) == 0
    assert vqa(one, [other] * 4) == 0


@pytest.mark.parametrize(
    ("agree", "score"),
    # 10 answers, k of them agree. Leaving out one of the k (k times) leaves k - 1, else k (10 - k
    # times): k = 1: (1 * 0 + 9 * 1/3) / 10; k = 2: (2 * 1/3 + 8 * 2/3) / 10; k = 3: (3 * 2/3 + 7)
    # / 10.
    [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)],
)
def test_soft_accuracy_of_ten_annotators(agree, score):
    answers = ["red"] * agree + ["blue"] * (10 - agree)
    assert vqa("red", answers) == pytest.approx(score)
    assert vqa("red", answers[::-1]) == pytest.approx(score)


def test_soft_accuracy_of_fewer_annotators():
    assert vqa("red", ["red"] * 4) == 1
    assert vqa("red", ["red"] * 3) == pytest.approx(2 / 3)
    assert vqa("red", ["red", "red", "red", "blue"]) == pytest.approx((3 * 2 / 3 + 1) / 4)


def test_annotators_agree_after_normalisation():
    answers = ["2", "two", "Two.", "2!", *["3"] * 6]
    assert vqa("the two", answers) == 1
    assert vqa("three", answers) == 1
    assert vqa("a pair", answers) == 0


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The Red, car!", "red car"),
        ("100,978", "100978"),
        ("red,blue", "red blue"),
        ("3.5", "3.5"),
        ("3.", "3"),
        ("St. Louis", "st louis"),
        ("2:50 pm", "2:50 pm"),
        ("girl's", "girl's"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("it's", "it's"),
        ("its", "its"),
        ("well", "well"),
        ("we'll", "we'll"),
        ("Im", "i'm"),
        ("can’t", "can't"),
        ("None", "0"),
        ("ten-year", "10 year"),
        ("black/white", "black white"),
        ("an apple a day", "apple day"),
    ],
)
def test_normalisation_of_vqa(text, same):
    assert vqa_plain(text) == same


def test_normalisation_of_exact_match():
    assert plain(" (The  Eiffel Tower), ") == "eiffel tower"
    assert plain("?") == "?"  # never nothing, which would equal silence
