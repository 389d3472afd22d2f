"""Where the tokens of a shortened prompt stand in the prompt with all tokens of its images."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Stretched(NamedTuple):
    """A prompt `[B, S]` with all tokens of its images, `[B, L]`, padded on the left.

    real: [B, S] bool, what is no padding. mask: [B, L], likewise. repeats: [B, S], how many tokens
    there stand for each. columns: [B, S], where each stands in it.
    """

    real: Tensor
    mask: Tensor
    repeats: Tensor
    columns: Tensor

    def stretch(self, values: Tensor) -> Tensor:
        """Values [B, S] of tokens, in the prompt with all of them."""
        return _left([row.repeat_interleave(times) for row, times in
                      zip(values, self.repeats, strict=True)])  # fmt: skip


def stretched(
    ids: Tensor, mask: Tensor | None, placeholder: Tensor, whole: Sequence[int],
    places: Sequence[Tensor],
) -> Stretched:  # fmt: skip
    """Placeholders [B, S] of images, in order, belong to tokens at `places` of `whole` ones each.

    Raises ValueError if there are others than the images have.
    """
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    left = list(zip(whole, places, strict=True))
    repeats, columns = [], []
    for row, here in zip(placeholder & real, real, strict=True):
        times, index = here.long(), row.nonzero().squeeze(1)
        own = []
        while len(index) and left and len(index) >= len(left[0][1]):
            count, standing = left.pop(0)
            mine, index = index[: len(standing)], index[len(standing) :]
            times[mine[-1]] += count - len(standing)
            own.append((mine, standing.to(ids.device)))
        if len(index):
            raise ValueError(
                f"{int(placeholder.sum())} image placeholders in the text, but "
                f"{sum(map(len, places))} visual tokens; make the text with the zipped processor"
            )
        starts = times.cumsum(0) - times
        for mine, standing in own:
            starts[mine] = starts[mine[0]] + standing
        repeats.append(times)
        columns.append(starts)
    lengths = torch.stack([times.sum() for times in repeats])
    longest = lengths.max()
    ones = _left([torch.ones_like(ids[0, :1]).expand(int(length)) for length in lengths])
    shift = (longest - lengths).unsqueeze(1)
    return Stretched(real, ones, torch.stack(repeats), (torch.stack(columns) + shift) * real)


def _left(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_side="left")
