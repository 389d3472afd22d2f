"""Which patches of an image stay, and which merge into which, drawn on the image itself."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle


def kept_patches(
    axis: Axes, image: np.ndarray, group: np.ndarray, stays: np.ndarray, target: np.ndarray
) -> None:
    """Patches that stay as they are, in black frames; every other in the colour of its token.

    image: [P, P, 3] uint8. group: [G, G] ints, the merged token that a patch went into, -1 for
    none, which leaves it pale. stays: [G, G] bool. target: [G, G] bool, where merged tokens stand,
    in white frames.
    """
    size, grid = image.shape[0], len(group)
    colours = np.array([to_rgb(c) for c in mpl.color_sequences["petroff10"]])
    pixel = np.arange(size) * grid // size  # patch of each pixel
    wash = np.where(group[..., None] < 0, 1.0, colours[group % len(colours)])[pixel][:, pixel]
    grey = image.mean(-1, keepdims=True) / 255
    faded = 0.62 * wash + 0.38 * (0.35 + 0.65 * grey)
    as_it_is = stays[pixel][:, pixel, None]
    axis.imshow(np.where(as_it_is, image / 255, faded))
    side = size / grid
    for which, colour, width in ((stays, "black", 0.7), (target, "white", 1.2)):
        for row, column in np.argwhere(which):
            corner = (column * side - 0.5, row * side - 0.5)
            frame = Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=width)
            axis.add_patch(frame)
