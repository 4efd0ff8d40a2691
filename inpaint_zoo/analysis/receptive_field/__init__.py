"""Receptive field of a network: the theoretical one from its operations, and the effective one from its gradients.

```python
reach = network_reach(create_model("autoencoder"), 256, 256)["whole network"]
reach.deepest.extent, reach.output.extent  # (76, 76), (121, 121)
```
"""

from inpaint_zoo.analysis.receptive_field.effective import EffectiveField, effective_field, field_image
from inpaint_zoo.analysis.receptive_field.walk import WHOLE, PartReach, Reach, network_reach, part_reach, sides_for

__all__ = [
    "WHOLE",
    "EffectiveField",
    "PartReach",
    "Reach",
    "effective_field",
    "field_image",
    "network_reach",
    "part_reach",
    "sides_for",
]
