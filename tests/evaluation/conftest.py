"""The model and prompts of the tests of `vzlib.methods.inside`."""

from tests.methods.inside.conftest import inputs, llava, prompt

__all__ = ["inputs", "llava", "prompt"]
