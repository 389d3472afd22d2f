"""Tower and zip as a CUDA graph would capture them: no value is read and nothing is made elsewhere.

On the meta device reading a value raises, and so does a shape that depends on one. What remains is
a tensor made on the host, which a graph would not see change.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests import tiny
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode
from vzlib.tokens import Budget, select_and_merge


class Devices(TorchDispatchMode):
    """The devices of all tensors made."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        made = function(*arguments, **(keywords or {}))
        for each in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(each, torch.Tensor):
                self.seen.add(each.device.type)
        return made


@pytest.mark.parametrize("merge", ["code", "paper"])
@pytest.mark.parametrize("family", ["clip", "siglip", "dinov2", "registers"])
def test_every_tensor_is_made_on_the_device_of_the_images(family, merge):
    with torch.device("meta"):
        tower = tiny.tower(family)
        pixels = torch.empty(2, 3, 48, 48)
    budget = Budget(10, 4, cls=has_cls(tower))
    with Devices() as devices, torch.no_grad():
        select_and_merge(*encode(tower, pixels), budget, merge)
    assert devices.seen == {"meta"}


def test_the_probe_sees_tensors_made_on_the_host():
    with Devices() as devices:
        torch.arange(3)
    assert devices.seen == {"cpu"}
