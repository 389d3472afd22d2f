"""A five by seven pixel font, drawn here so that signs have the same bytes on every machine."""

import numpy as np

HEIGHT, WIDTH = 7, 5

# One row per line of a glyph; each number is the row's five pixels, most significant bit left.
_ROWS: dict[str, tuple[int, ...]] = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31), "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14), "9": (14, 17, 17, 15, 1, 2, 12),
    "A": (14, 17, 17, 31, 17, 17, 17), "B": (30, 17, 17, 30, 17, 17, 30),
    "C": (14, 17, 16, 16, 16, 17, 14), "D": (28, 18, 17, 17, 17, 18, 28),
    "E": (31, 16, 16, 30, 16, 16, 31), "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 15), "H": (17, 17, 17, 31, 17, 17, 17),
    "I": (14, 4, 4, 4, 4, 4, 14), "K": (17, 18, 20, 24, 20, 18, 17),
    "L": (16, 16, 16, 16, 16, 16, 31), "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 17, 25, 21, 19, 17, 17), "O": (14, 17, 17, 17, 17, 17, 14),
    "P": (30, 17, 17, 30, 16, 16, 16), "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30), "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14), "W": (17, 17, 17, 21, 21, 21, 10),
    "X": (17, 17, 10, 4, 10, 17, 17), "Y": (17, 17, 10, 4, 4, 4, 4),
}  # fmt: skip


def write(text: str, scale: int = 2) -> np.ndarray:
    """The text in capitals as a boolean image `[7 * scale, W]`, one blank column between glyphs.

    Raises:
        ValueError: if a character has no glyph.
    """
    missing = sorted(set(text.upper()) - set(_ROWS))
    if missing:
        raise ValueError(f"no glyph for {missing}; the font has {''.join(_ROWS)}")
    columns = np.arange(WIDTH)[::-1]
    parts = []
    for character in text.upper():
        rows = np.array(_ROWS[character])[:, None]
        parts += [(rows >> columns & 1).astype(bool), np.zeros((HEIGHT, 1), dtype=bool)]
    return np.concatenate(parts[:-1], axis=1).repeat(scale, axis=0).repeat(scale, axis=1)
