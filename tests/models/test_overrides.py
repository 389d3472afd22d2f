"""Layers over methods of one instance: they come and go in any order, and go where a copy goes."""

import copy
import functools
import inspect
import itertools
import pickle

import accelerate
import pytest
import torch

from vzlib.models.overrides import Override, found, is_method, put, take, take_all


class Doubles(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, value, add: int = 0):
        return value * self.weight + add


def plus(number, below, module, value, **options):
    return below(module, value, **options) + number


def layer(number):
    return functools.partial(plus, number)


def hooked(module):
    return accelerate.hooks.add_hook_to_module(module, accelerate.hooks.ModelHook())


ONE = torch.tensor(1.0)


def test_layers_lie_over_each_other_and_over_the_method():
    module = Doubles()
    put(module, "forward", layer(10))
    put(module, "forward", layer(100))
    assert module(ONE) == 112
    assert module(ONE, add=5) == 117


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_taken_away_in_any_order_the_module_is_as_it_was(order):
    module = Doubles()
    before = dict(module.__dict__)
    laid = [(put(module, "forward", each), each) for each in map(layer, (10, 100, 1000))]
    left = 1112
    for index in order:
        take(*laid[index])
        take(*laid[index])
        left -= 10 ** (index + 1)
        assert module(ONE) == left
    assert module.__dict__ == before


def test_with_what_lies_above():
    module = Doubles()
    lowest, lower, upper = layer(10), layer(100), layer(1000)
    override = put(module, "forward", lowest)
    put(module, "forward", lower), put(module, "forward", upper)
    take(override, lower, above=True)
    assert module(ONE) == 12
    take(override, upper)
    take(override, lowest)
    assert module(ONE) == 2 and "forward" not in module.__dict__


def test_hooks_of_accelerate_that_were_there_stay_and_run_around():
    module = hooked(Doubles())
    before = dict(module.__dict__)
    override = put(module, "forward", mine := layer(10))
    assert module.forward is before["forward"]
    assert module(ONE) == 12
    take(override, mine)
    assert module(ONE) == 2
    assert module.__dict__ == before


def test_hooks_of_accelerate_that_came_later_stay():
    module = Doubles()
    put(module, "forward", layer(10))
    hooked(module)
    put(module, "forward", layer(100))
    assert module(ONE) == 112
    take_all(found(module, "forward"))
    assert module(ONE) == 2 and hasattr(module, "_hf_hook")
    accelerate.hooks.remove_hook_from_module(module)
    assert module(ONE) == 2


def test_hooks_of_accelerate_that_went_meanwhile():
    module = hooked(Doubles())
    put(module, "forward", layer(10))
    accelerate.hooks.remove_hook_from_module(module)
    assert module(ONE) == 12
    take_all(found(module, "forward"))
    assert module(ONE) == 2


def test_a_method_that_somebody_put_there_comes_back():
    module = Doubles()
    module.forward = theirs = lambda value: value * 3
    put(module, "forward", layer(10))
    assert module(ONE) == 13
    take_all(found(module, "forward"))
    assert module.forward is theirs


def test_an_override_that_somebody_else_holds_gives_way():
    module = Doubles()
    override = put(module, "forward", mine := layer(10))
    held = module.forward
    module.forward = lambda value: held(value) + 1
    assert module(ONE) == 13
    take(override, mine)
    assert module(ONE) == 3


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_take_their_layers_along_and_run_themselves(twin):
    module = Doubles()
    put(module, "forward", layer(10))
    put(module, "forward", layer(100))
    other = twin(module)
    with torch.no_grad():
        other.weight.fill_(3)
    assert (module(ONE), other(ONE)) == (112, 113)
    take_all(found(module, "forward"))
    assert (module(ONE), other(ONE)) == (2, 113)
    take_all(found(other, "forward"))
    assert other(ONE) == 3 and "forward" not in other.__dict__


def test_the_signature_is_that_of_the_method():
    module = Doubles()
    override = put(module, "forward", layer(10))
    assert list(inspect.signature(override).parameters) == ["value", "add"]


def test_a_closure_is_no_method():
    module = Doubles()
    assert is_method(module, "forward")
    put(module, "forward", layer(10))
    assert is_method(module, "forward")
    take_all(found(module, "forward"))
    assert is_method(hooked(module), "forward")
    other = Doubles()
    other.forward = lambda value: value
    assert not is_method(other, "forward")
    put(other, "forward", layer(10))
    assert isinstance(other.forward, Override) and not is_method(other, "forward")
