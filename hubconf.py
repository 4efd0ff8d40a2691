"""Entry points of `torch.hub`: every registered model by its name.

```python
net = torch.hub.load("path/to/inpaint-zoo", "glama_tiny", source="local")                # with the shipped weights
net = torch.hub.load("path/to/inpaint-zoo", "big_lama", source="local", weights="official")
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpaint_zoo import InpaintingNetwork

dependencies = ["torch", "torchvision", "numpy", "einops", "safetensors", "scipy", "PIL", "yaml", "timm", "cv2"]


def __dir__() -> list[str]:
    from inpaint_zoo import list_models

    return ["dependencies", *list_models()]


def __getattr__(name: str) -> Callable[..., InpaintingNetwork]:
    from inpaint_zoo import UnknownNameError, model_info

    try:
        description = model_info(name).description
    except UnknownNameError as error:
        raise AttributeError(str(error)) from None

    def entry(weights: str | None = None, **options: Any) -> InpaintingNetwork:
        from inpaint_zoo import create_model
        from inpaint_zoo.inference.inpaint import ready_model

        if weights == "random":
            return create_model(name, **options)
        return ready_model(name, weights, **options)

    entry.__name__ = name
    entry.__doc__ = (
        f"{description}\n\nArgs:\n"
        "    weights: A weight file, 'official' (imported by `inpaint-zoo weights import`), or 'random'.\n"
        "        None loads the shipped weights.\n"
        "    options: Options of the model.\n"
    )
    return entry
