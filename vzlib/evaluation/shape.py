"""The shape of a model that schedules depend on, told without loading it."""

from typing import Any

from vzlib.models.checkpoint import configuration


def shape_of(name: str) -> Any:
    """Layers of the language model and patches of an image, a `vzlib.methods.inside.Shape`.

    Raises ValueError for a name that leads nowhere.
    """
    from vzlib.methods.inside.schedule import Shape

    config = configuration(name)
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    return Shape(config.get_text_config().num_hidden_layers, side**2)
