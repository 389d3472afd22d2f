"""What the viewer says: the table of answers, and a sentence about a patch."""

from collections.abc import Sequence
from html import escape

import numpy as np

from vzlib.efficiency.parts import PARTS
from vzlib.viewer.asking import ALL, Answered
from vzlib.viewer.draw import told
from vzlib.viewer.fates import Fates
from vzlib.viewer.shown import Shown

COLOURS = dict(zip(PARTS, ("#7A9CC6", "#D55E00", "#CCBB44", "#4C5C7A", "#B9B3A9"), strict=True))


def table(answers: Sequence[Answered], truth: str = "") -> str:
    """HTML: a row for each way of keeping tokens, with its answer, its tokens and its time."""
    longest = max(sum(each.milliseconds.values()) for each in answers)
    rows = "".join(_row(each, longest) for each in answers)
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{part}</span>'
        for part, colour in COLOURS.items()
    )
    known = f'<div class="truth">the truth: <b>{escape(truth)}</b></div>' if truth else ""
    return (
        '<table class="answers"><thead><tr><th></th><th>answer</th><th>visual tokens</th>'
        "<th>milliseconds up to the first word</th></tr></thead>"
        f'<tbody>{rows}</tbody></table>{known}<div class="parts">{legend}'
        "<em>one run each; for a measurement: make bench</em></div>"
    )


def _row(answered: Answered, longest: float) -> str:
    total = sum(answered.milliseconds.values())
    bars = "".join(
        f'<i title="{part} {taken:.0f} ms" style="width:{100 * taken / longest:.2f}%;'
        f'background:{COLOURS[part]}"></i>'
        for part, taken in answered.milliseconds.items()
    )
    parts = " + ".join(f"{taken:.0f}" for taken in answered.milliseconds.values())
    small = f"<small>{escape(answered.split)}</small>" if answered.split else ""
    tokens = told(answered).removesuffix(" tokens")
    return (
        f"<tr><th>{escape(answered.way)}</th><td class='answer'>{escape(answered.text) or '—'}</td>"
        f"<td>{tokens}{small}</td>"
        f'<td><div class="bar">{bars}</div><b>{total:.0f}</b> = {parts}</td></tr>'
    )


def of_patch(fates: Fates, patch: int, grid: int) -> str:
    """Where a patch is, and what became of it."""
    row, column = divmod(patch, grid)
    here = f"Row {row + 1}, column {column + 1}"
    if fates.stays[patch]:
        return f"{here}: stays as it is."
    token, size = int(fates.token[patch]), int(fates.size[patch])
    if token < 0:
        return f"{here}: left out; nothing of it is handed on."
    if size == 1:
        return f"{here}: leaves after layer {fates.layers[patch]} of {fates.layers.max()}."
    number = sorted(set(fates.group[fates.group >= 0])).index(token) + 1
    stands = np.flatnonzero(fates.target & (fates.token == token))
    where = ""
    if len(stands):
        y, x = divmod(int(stands[0]), grid)
        where = f", which stands at row {y + 1}, column {x + 1}"
    return f"{here}: one of {size} patches that became merged token {number}{where}."


def of_attention(weights: np.ndarray, patch: int, block: int) -> str:
    """Where the attention of a patch goes. weights: [G, G]."""
    row, column = divmod(patch, len(weights))
    ranked = np.sort(weights.ravel())[::-1]
    half = int(np.searchsorted(ranked.cumsum(), ranked.sum() / 2)) + 1
    own = weights[row, column]
    return (
        f"Row {row + 1}, column {column + 1}, layer {block}: half of what it gives to patches goes "
        f"to {half} of them, {own / weights.sum():.1%} to itself."
    )


def of_layer(shown: Shown, block: int) -> str:
    """How unevenly a layer attends."""
    ranked = np.sort(shown.received[block - 1].ravel())[::-1]
    half = int(np.searchsorted(ranked.cumsum(), ranked.sum() / 2)) + 1
    read = ", the one that the selection reads" if block == shown.block else ""
    return f"Layer {block}{read}: half of the attention falls on {half} of {len(ranked)} patches."


def notes(shown: Shown) -> str:
    """What a reader should know of these answers; empty if nothing."""
    said = []
    if shown.unknown:
        words = ", ".join(f"“{word}”" for word in shown.unknown)
        said.append(f"{shown.model} has no word for {words}.")
    texts = {each.way: each.text for each in shown.answers}
    if all(text == texts[ALL] for text in texts.values()):
        said.append("All answers are the same.")
    return " ".join(said)
