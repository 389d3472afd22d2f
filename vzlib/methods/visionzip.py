"""VisionZip (arXiv 2412.04467), with each of its choices as a hyper-parameter."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn.functional import pad

from vzlib.methods.before import NOTHING, Before, Further, check_retain, sources_of
from vzlib.methods.method import Count, Share
from vzlib.tokens import Budget, ZippedTokens, select_and_merge
from vzlib.tokens.budget import PAPER_DOMINANT, PAPER_TOTAL
from vzlib.tokens.evidence import Encoded, Reduced
from vzlib.tokens.merging import MergeRule, Similarity, Spacing, take_tokens


@dataclass(frozen=True)
class VisionZip(Before):
    """The tokens that receive most attention as they are, the others merged into a few more.

    The defaults are those of the released code; the paper's text merges by `merge="paper"`.

    contextual: share of the budget that merged tokens get, rounded, but one dominant token stays.
    merge: "code" adds the mean of what merges to its target, "paper" averages target and all.
    compared: what says where a leftover goes: keys or hidden states; "nothing" keeps the targets as
        they are and drops all other leftovers.
    similarity, spacing: as of `vzlib.tokens.merge_contextual`.
    cls: whether the CLS token, where there is one, stays. It rates the patches in any case.
    layer: the block, from 1, whose attention selects; None for that of the layer that is read.
    """

    contextual: Share = 1 - PAPER_DOMINANT / PAPER_TOTAL
    merge: MergeRule = "code"
    compared: Literal["keys", "hidden", "nothing"] = "keys"
    similarity: Similarity = "cosine"
    spacing: Spacing = "stride"
    cls: bool = True
    layer: Count | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return () if self.layer is None else ("received",)

    def budget(self, retain: int, has_cls: bool) -> Budget:
        """How `retain` tokens are split. has_cls: whether the tower has a CLS token."""
        contextual = min(round(self.contextual * retain), retain - 1)
        return Budget(retain - contextual, contextual, cls=has_cls and self.cls)

    def reduce(
        self,
        encoded: Encoded,
        retain: int,
        *,
        has_cls: bool,
        seed: int = 0,
        further: Further = NOTHING,
    ) -> Reduced:
        """As of `Before`; CLS is among the tokens unless it is left out."""
        self.check_given(encoded, further)
        left_out = int(has_cls and not self.cls)
        scores = encoded.scores if self.layer is None else self._scores(further)
        hidden, scores, keys = (
            part[:, left_out:] for part in (encoded.hidden, scores, encoded.keys)
        )
        check_retain(retain, hidden.shape[1], "tokens")
        zipped = select_and_merge(
            hidden,
            scores,
            hidden if self.compared == "hidden" else keys,
            self.budget(retain, has_cls),
            self.merge,
            similarity=self.similarity,
            spacing=self.spacing,
        )
        if self.compared == "nothing":
            tokens = take_tokens(hidden, torch.cat([zipped.kept, zipped.targets], dim=1))
            nowhere = torch.full_like(zipped.assignment, -1)
            zipped = zipped._replace(tokens=tokens, assignment=nowhere)
        return reduced(zipped, left_out)

    def _scores(self, further: Further) -> torch.Tensor:
        received = further.received
        assert received is not None and self.layer is not None
        if self.layer > received.shape[1]:
            raise ValueError(
                f"layer={self.layer} must be between 1 and {received.shape[1]}, the tower's blocks"
            )
        return received[:, self.layer - 1]


def reduced(zipped: ZippedTokens, left_out: int) -> Reduced:
    """The same, told as of any method. left_out: tokens at the front that were not offered."""
    places = torch.cat([zipped.kept, zipped.targets], dim=1)
    sources = sources_of(places, zipped.assignment.shape[1])
    merged = zipped.assignment + zipped.kept.shape[1]
    sources = torch.where(zipped.assignment < 0, sources, merged)
    return Reduced(zipped.tokens, places + left_out, pad(sources, (left_out, 0), value=-1))
