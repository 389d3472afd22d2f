"""A plug-in of lmms-eval: any zipped model under its tasks, and questions of one's own as a task.

```
pip install 'vzlib[lmms-eval]'
lmms-eval --model vzlib --model_args pretrained=pico,method=visionzip,retain=64 \\
    --tasks vzlib_questions --include_path "$(vzlib where tasks)" --batch_size 4
```

lmms-eval finds `manifest` by its entry point. No other room of vzlib imports this one.
"""

from typing import Any


def manifest() -> Any:
    """The model `vzlib`, as lmms-eval's registry takes it."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("vzlib", chat_class_path="vzlib.lmms_eval.chat.ZippedChat")
