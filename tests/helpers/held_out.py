"""Quality of shipped weights on images that they were not trained on."""

import torch

from inpaint_zoo.data import create_dataset
from inpaint_zoo.masks import create_generator


def held_out_psnr(net, mask):
    """Return the mean PSNR of each stage's composite on every second 256 px crop of the test images, by stage."""
    files = create_dataset({"name": "sample", "size": 256, "crop": "grid"})
    holes = create_generator(mask, seed=2026, stream="test")
    chosen = range(0, len(files), 2)
    images = torch.stack([torch.from_numpy(files.load(k)).permute(2, 0, 1) / 255 for k in chosen])
    masks = torch.stack([torch.from_numpy(holes(k, (256, 256)))[None].float() for k in chosen])
    with torch.no_grad():
        stages = net.stages(images, masks)
    return {
        name: -10 * ((raw.clamp(0, 1) - images) * masks).square().mean((1, 2, 3)).log10().mean().item()
        for name, raw in stages.items()
    }
