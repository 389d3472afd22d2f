"""VisionZip, reproduced: the visual tokens a vision-language model needs, measured.

Names load on first use, so that `import vzlib` does not wait for torch; `__init__.pyi` lists them.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
