"""Scores of generated answers against accepted ones: exact match, and the soft accuracy of VQA.

What looks the same is the same: full-width digits, ligatures, accents in one code or two, invisible
letters, kinds of dash and apostrophe. Letters of different scripts are not, even where they look
so: a Cyrillic "а" is no Latin "a"; nor are raised digits: 10² is not 102.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal

Scoring = Literal["exact", "vqa"]

ANNOTATORS = 4  # accepted answers from which "vqa" can reach 1: three besides the one left out
ARTICLES = frozenset(("a", "an", "the"))
AROUND = " \t\r\n.,;:!?\"'`()[]{}“”‘’«»…。"  # no signs that mean something, such as - % $
INSIDE = re.escape(';/[]"{}()=+\\_-><@`,?!“”«»…')  # neither apostrophe nor colon, as in 2:50
SAME = str.maketrans("‐‑‒–—―−’‘ʼ′“”″", "-------''''\"\"\"")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(DIGITS)}
# Only those that are no other word without their apostrophe, as it's, we're, let's and he'll are.
CONTRACTIONS = {
    word.replace("'", ""): word
    for word in (
        "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't "
        "mustn't needn't oughtn't shan't shouldn't wasn't weren't won't wouldn't couldn't've "
        "hadn't've mightn't've shouldn't've wouldn't've could've might've must've should've "
        "would've I'm I've I'd've you'd you'll you're you've you'd've he'd he's he'd've she's "
        "she'd've it'd it'll it'd've we've we'd've they'd they'll they're they've they'd've that's "
        "there'd there's there're there'd've here's what'll what're what's what've when's where'd "
        "where's where've who'd who'll who's who've why's how'd how'll how's ma'am o'clock "
        "'twas y'all somebody's someone's something's"
    )
    .lower()
    .split()
}


def exact(said: str, answers: Sequence[str]) -> float:
    """1 if what was said is one of the answers, else 0.

    Case, articles, white space and punctuation around the text do not count.
    """
    return float(plain(said) in {plain(answer) for answer in answers})


def vqa(said: str, answers: Sequence[str]) -> float:
    """VQA accuracy, 0 to 1: answers are those of annotators, one each.

    An answer is worth a third for every annotator who agrees, at most 1; this is averaged over
    leaving out each annotator in turn. Source: Antol et al., VQA (ICCV 2015), and the normalisation
    that its evaluation describes, `vqa_plain`, on both sides.
    """
    agree = [vqa_plain(answer) == vqa_plain(said) for answer in answers]
    total = sum(agree)
    return sum(min(1.0, (total - own) / 3) for own in agree) / len(agree)


SCORES: dict[Scoring, Callable[[str, Sequence[str]], float]] = {"exact": exact, "vqa": vqa}


def plain(text: str) -> str:
    """Lower case, without articles, surplus white space and punctuation around it."""
    text = _folded(text)
    return _without_articles(text.strip(AROUND) or text)


def vqa_plain(text: str) -> str:
    """As VQA compares answers: lower case, numbers as digits, contractions with apostrophe.

    Articles go, periods but for decimal points, and commas between digits; all other punctuation
    becomes a space, except apostrophe and colon.
    """
    text = re.sub(r"(?<=\d),(?=\d)", "", _folded(text))
    text = re.sub(f"[{INSIDE}]", " ", re.sub(r"\.(?!\d)", "", text))
    words = (NUMBERS.get(word, word) for word in text.split())
    return _without_articles(
        " ".join(CONTRACTIONS.get(word.replace("'", ""), word) for word in words)
    )


def _folded(text: str) -> str:
    """Lower case, in one spelling of all that look the same."""
    seen = (letter for letter in text if unicodedata.category(letter) != "Cf")
    whole = unicodedata.normalize("NFC", "".join(map(_decomposed, seen)).casefold())
    return " ".join(whole.translate(SAME).split())


def _decomposed(letter: str) -> str:
    """Its compatible form, unless that is another number or word: a raised digit, a fraction."""
    other = unicodedata.decomposition(letter).startswith(("<super>", "<sub>", "<fraction>"))
    return letter if other else unicodedata.normalize("NFKD", letter)


def _without_articles(text: str) -> str:
    """A text of nothing but articles stays: it may be option A."""
    words = text.split()
    return " ".join([word for word in words if word not in ARTICLES] or words)
