"""The method on plain tensors: received attention, selection, merging, and what measures them.

Nothing here knows a model. Names load on first use, so that `Budget` costs no import of torch;
`__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
