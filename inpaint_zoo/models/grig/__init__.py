"""GRIG: the same generator adds residual after residual, until little is left to add.

Paper: GRIG: Data-efficient generative residual image inpainting (Lu et al., Computational Visual Media 2025).
Specification followed: specs/grig.md; where paper and released code differ, README.md beside this file says what is
taken.
"""

from inpaint_zoo.registry import Paper

__all__ = ["CODE", "GRIG"]

GRIG = Paper(
    title="GRIG: Data-efficient generative residual image inpainting",
    authors="Wanglong Lu, Xianta Jiang, Xiaogang Jin, Yong-Liang Yang, Minglun Gong, Kaijie Shi, Tao Wang, Hanli Zhao",
    venue="Computational Visual Media",
    year=2025,
    url="https://arxiv.org/abs/2304.12035",
)
CODE = "specs/grig.md; LonglongaaaGo/GRIG_few_shot_inpainting at 5e7daae"
