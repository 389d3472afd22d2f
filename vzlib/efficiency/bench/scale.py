"""How large and how long the benchmark is."""

from dataclasses import dataclass

import pandas as pd
import torch

from vzlib.efficiency import timing
from vzlib.tokens import Budget


@dataclass(frozen=True)
class Scale:
    """The sizes of the benchmark on one device; the defaults are those of a CPU.

    repetitions: rounds of a comparison, fewer where `seconds` do not suffice, but `at_least`.
    tokens, width: S and D of selection and merging.
    merge_calls: of one image that are timed together, since one takes less than a millisecond.
    usual_batches: where the usual way runs too, `usual_calls` images timed together: what one way
        leaves in the memory allocator shall not weigh on each call of the other.
    sequence, heads, head_dim: of the column sum.
    """

    repetitions: int = 20
    seconds: float = 60
    at_least: int = 4
    retain: int = 64
    tokens: int = 577
    width: int = 1024
    key_width: int = 64
    merge_batches: tuple[int, ...] = (1, 8, 32)
    merge_calls: int = 64
    clip: str = "clip-l-336"
    tower_batches: tuple[int, ...] = (1, 4, 16)
    usual_batches: tuple[int, ...] = (1, 4)
    usual_calls: int = 4
    siglip: str = "siglip-so400m"
    sequence: int = 16384
    heads: int = 16
    head_dim: int = 64
    llava: str = "llava-medium"
    larger: str = "llava-small-2x"
    new_tokens: int = 8
    compiled: bool = False  # compiling takes a minute for each length on a CPU, and gains little

    @property
    def budget(self) -> Budget:
        """Of an encoder with CLS: 54 + 10 of the 577 tokens by default."""
        return Budget.retain(self.retain)

    def measure(
        self,
        variants: dict[str, timing.Variant],
        device: torch.device,
        what: str,
        apart: bool = False,
    ) -> pd.DataFrame:
        """`timing.measure` with the repetitions and the time of this scale."""
        return timing.measure(
            variants,
            device,
            repetitions=self.repetitions,
            seconds=self.seconds,
            at_least=self.at_least,
            warm_up=1 if device.type == "cpu" else 3,
            apart=apart,
            progress=what,
        )


def scale_of(device: torch.device) -> Scale:
    """What fits the device: the real geometries on a GPU, reduced language models on a CPU."""
    if device.type != "cuda":
        return Scale()
    return Scale(
        repetitions=50,
        at_least=20,
        usual_batches=(1, 4, 16),
        llava="llava-next-7b",
        larger="llava-next-13b",
        new_tokens=32,
        compiled=True,
    )
