"""A picture whose colours say its depth, and where that depth is in closed form.

The picture is a chessboard of blocks, each of one colour per camera, so that any resize leaves the
inside of a block as it is. The colour gives the block its inverse depth; over that lies a ramp
that depends on where a pixel is *in the network's input*, so that what comes back is right only if
resize and padding are undone exactly as they were done.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray
import numpy as np

ROWS, COLUMNS = 3, 4
BASELINE_M, DOFFS_PX = 0.12, 1.5
RAMP_X, RAMP_Y = 0.2, 0.1  # growth of inverse depth over the network's input
LEFT_WEIGHTS, RIGHT_WEIGHTS = (4.0, 2.0, 1.0), (3.0, 1.0, 5.0)  # of R, G, B in the code
GREY_WEIGHTS = 4.0, 2.3  # of left and right


@dataclass(frozen=True)
class Placed:
    """Where an image of `size` lies in a network's input; all (width, height) [px].

    Attributes:
        size: Of the image.
        scaled: Of the image after scaling.
        target: Of the network's input.
        left: Columns of padding before the image.
        top: Rows of padding above it.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    target: tuple[int, int]
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Scene:
    """One frame with its answer.

    Attributes:
        frame: What the estimator is given.
        code: (ROWS, COLUMNS) float64, what a network that reads the colours right computes.
        nearest: Least and greatest depth of the blocks before the ramp [m].
        placed: Where the image lies in the network's input.
        depth: (H, W) float64 [m].
        block: (H, W) int, number of the block.
        sure: (H, W) bool, far enough from the borders of the blocks.
    """

    frame: MonoFrame | StereoFrame
    code: AnyArray
    nearest: tuple[float, float]
    placed: Placed
    depth: AnyArray
    block: AnyArray
    sure: AnyArray

    @property
    def camera(self) -> PinholeCamera:
        """The camera of the picture."""
        return self.frame.camera


def colours(seed: int, *, grey: bool) -> AnyArray:
    """Return (ROWS * COLUMNS, 3) uint8 colours, all channels well apart from each other."""
    generator = np.random.default_rng(seed)
    count = ROWS * COLUMNS
    steps = np.linspace(20, 235, count).round()
    columns = [generator.permutation(steps) for _ in range(3)]
    if grey:
        columns = [columns[0]] * 3
    return np.stack(columns, axis=1).astype(np.uint8)


def codes(left: AnyArray, right: AnyArray | None, *, grey: bool) -> AnyArray:
    """Return what the colours say, 0 to 1, from the channels R, G, B that a network must see."""
    parts = [(left, LEFT_WEIGHTS, GREY_WEIGHTS[0])]
    if right is not None:
        parts.append((right, RIGHT_WEIGHTS, GREY_WEIGHTS[1]))
    total = np.zeros(len(left))
    most = 0.0
    for picture, weights, grey_weight in parts:
        chosen = (grey_weight, 0.0, 0.0) if grey else weights
        total += picture.astype(np.float64) @ np.array(chosen)
        most += 255.0 * sum(chosen)
    return total / most


def make_scene(
    placed: Placed,
    *,
    stereo: bool,
    grey: bool,
    depth_m: tuple[float, float],
    depth_ramp: bool,
    relative: bool,
) -> Scene:
    """Return a frame with its answer.

    Args:
        placed: Where the network sees the image.
        stereo: Whether there is a right image.
        grey: Whether the network sees no colours.
        depth_m: Nearest and farthest depth of the blocks.
        depth_ramp: Whether the ramp is one of depth rather than of inverse depth.
        relative: Whether points of known depth are given along.
    """
    width, height = placed.size
    camera = PinholeCamera(width, height, 0.95 * width, 0.93 * width, 0.46 * width, 0.55 * height)
    u, v = np.arange(width), np.arange(height)
    column, row = u * COLUMNS // width, v * ROWS // height
    block = row[:, None] * COLUMNS + column
    left = colours(7, grey=grey)
    right = colours(8, grey=grey) if stereo else None
    code = codes(left, right, grey=grey)
    x = ((u + 0.5) * placed.scaled[0] / width + placed.left) / placed.target[0]
    y = ((v + 0.5) * placed.scaled[1] / height + placed.top) / placed.target[1]
    ramp = 1.0 + RAMP_X * x + RAMP_Y * y[:, None]
    near, far = depth_m
    flat = 1.0 / far + (1.0 / near - 1.0 / far) * code[block]
    depth = ramp / flat if depth_ramp else 1.0 / (flat * ramp)
    margin = 3 + int(2.0 * max(width / placed.scaled[0], height / placed.scaled[1]))
    sure = (_inside(column, margin))[None, :] & _inside(row, margin)[:, None]
    known = _references(depth, sure) if relative else None
    picture = Picture(left[block], 'rgb')
    frame: MonoFrame | StereoFrame
    if right is None:
        frame = MonoFrame(picture, camera, 1_000_000_000, 'camera', Surroundings(known))
    else:
        other = PinholeCamera(width, height, camera.fx, camera.fy, camera.cx + DOFFS_PX, camera.cy)
        rig = StereoRig(camera, other, BASELINE_M)
        frame = StereoFrame(picture, Picture(right[block], 'rgb'), rig, 1_000_000_000, 'camera')
        disparity = camera.fx * BASELINE_M / depth - DOFFS_PX
        sure &= u > disparity + 1.0  # what lies left of the right image has no disparity
    return Scene(frame, code, depth_m, placed, depth, block, sure)


def _inside(index: AnyArray, margin: int) -> AnyArray:
    """Return which places are at least `margin` away from where `index` changes, and the ends."""
    padded = np.pad(index, margin, constant_values=-1)
    count = len(index)
    same = [padded[k : k + count] == index for k in range(2 * margin + 1)]
    return np.logical_and.reduce(same)


def _references(depth: AnyArray, sure: AnyArray) -> References:
    """Return some thousand sure pixels as measurements."""
    step = max(1, int(sure.sum()) // 1000)
    v, u = (part[::step] for part in np.nonzero(sure))
    rho = 1.0 / depth[v, u]
    return References(u, v, rho, 0.001 * rho)
