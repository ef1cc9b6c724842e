"""What the real networks want and give, written down from their own code, not from their cards.

The cards are proven against this table: a stand-in made from a row here must come out right
through the card. Sources are named in docs/models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import math

from proof_scene import Placed

LIMIT_BLOCK = 0  # of the picture; there the network gives its limit, which says nothing
_RELATIVE = ('affine_inverse', 'affine_depth', 'scaled_depth')
Rule = Callable[[int, int], Placed]


@dataclass(frozen=True)
class Flag:
    """An output that says, in one block, that the main output does not hold there."""

    good: float
    bad: float
    far: bool = False
    block: int = 5


@dataclass(frozen=True, kw_only=True)
class Net:
    """One real network file.

    Attributes:
        rule: Where it wants an image of (width, height).
        inputs: Source of every input tensor: left, right, pair (channels packed), rays,
            tokens, or left and right at half the size (left/2).
        norm: raw (0..255), unit (0..1), half (-1..1) or imagenet.
        order: Of the channels: rgb, bgr or grey.
        output: The tensor that says the depth.
        says: In which terms; a method of proof_meanings.Meanings.
        shapes: Of all outputs.
        flags: Outputs that are masks.
        constants: What the other outputs say; 0.5 where nothing is said here.
        static: Whether the sides of the tensors are fixed.
        padding: Colour of the padding in R, G, B, or 'replicate', or 'any'.
        stride: Pixels of the input per pixel of the output.
        up_to_scale: Whether what is said in metres is so up to one factor only.
        limit: Raw value at which the output says no more than "that or beyond".
        depth_m: Nearest and farthest depth of the test.
        canonical_focal: Focal length that canonical depth is for [px].
        focal_of: Whether that stands for the mean of fx and fy, or for fx times the scale of a
            letterbox before rounding.
        tokens: What a `tokens` input must be.
    """

    rule: Rule
    inputs: dict[str, str]
    norm: str = 'imagenet'
    order: str = 'rgb'
    layout: str = 'NCHW'
    dtype: str = 'float32'
    output: str
    says: str
    shapes: dict[str, str]
    flags: dict[str, Flag] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    static: bool = True
    padding: str | tuple[float, float, float] = 'any'
    stride: int = 1
    up_to_scale: bool = False
    limit: float | None = None
    depth_m: tuple[float, float] = (2.0, 6.0)
    canonical_focal: float = 1000.0
    focal_of: str = 'mean'
    tokens: int = 0

    @property
    def stereo(self) -> bool:
        """Whether it takes a pair."""
        return bool({'right', 'pair'} & set(self.inputs.values()))

    @property
    def relative(self) -> bool:
        """Whether its output has no unit."""
        return self.up_to_scale or self.says in _RELATIVE

    @property
    def depth_ramp(self) -> bool:
        """Whether what is interpolated is depth, not inverse depth."""
        return self.says == 'affine_depth'


def stretched(height: int, width: int) -> Rule:
    """Return the rule of a fixed size that ignores the aspect ratio."""
    return lambda w, h: Placed((w, h), (width, height), (width, height))


def as_it_is(w: int, h: int) -> Placed:
    """Leave the image alone."""
    return Placed((w, h), (w, h), (w, h))


def boxed(height: int, width: int, place: str = 'center') -> Rule:
    """Return the rule of a fixed size that the image is fitted into."""

    def rule(w: int, h: int) -> Placed:
        scale = min(width / w, height / h)
        scaled = int(w * scale + 1e-9), int(h * scale + 1e-9)
        spare = width - scaled[0], height - scaled[1]
        return Placed((w, h), scaled, (width, height), *_corner(spare, place))

    return rule


def _corner(spare: tuple[int, int], place: str) -> tuple[int, int]:
    """Return (left, top) of an image with `spare` room around it."""
    if place == 'center':
        return spare[0] // 2, spare[1] // 2
    return 0, spare[1] if place == 'bottom_left' else 0


def padded(step: int, place: str = 'center') -> Rule:
    """Return the rule that pads to a multiple of `step` and does not scale."""

    def rule(w: int, h: int) -> Placed:
        target = math.ceil(w / step) * step, math.ceil(h / step) * step
        spare = target[0] - w, target[1] - h
        return Placed((w, h), (w, h), target, *_corner(spare, place))

    return rule


def at_least(side: int, step: int) -> Rule:
    """Return the rule that brings the shorter side to `side` and rounds to the next multiple."""

    def rule(w: int, h: int) -> Placed:
        scale = side / min(w, h)
        size = tuple(max(side, round(s * scale / step) * step) for s in (w, h))
        return Placed((w, h), size, size)  # type: ignore[arg-type]

    return rule


def at_most(side: int, step: int) -> Rule:
    """Return the rule that brings the longer side to `side` and rounds to the next multiple."""

    def rule(w: int, h: int) -> Placed:
        scale = side / max(w, h)
        size = tuple(min(side, round(s * scale / step) * step) for s in (w, h))
        return Placed((w, h), size, size)  # type: ignore[arg-type]

    return rule


def least_change(side: int, step: int) -> Rule:
    """Return the rule that brings that side to `side` which has to change the least."""

    def rule(w: int, h: int) -> Placed:
        scale = min((side / w, side / h), key=lambda factor: abs(1.0 - factor))
        size = tuple(round(s * scale / step) * step for s in (w, h))
        return Placed((w, h), size, size)  # type: ignore[arg-type]

    return rule


def area_within(least: int, greatest: int, step: int) -> Rule:
    """Return the rule that keeps the area within bounds and rounds to the next multiple."""

    def rule(w: int, h: int) -> Placed:
        scale = math.sqrt(min(max(w * h, least), greatest) / (w * h))
        size = tuple(max(step, round(s * scale / step) * step) for s in (w, h))
        return Placed((w, h), size, size)  # type: ignore[arg-type]

    return rule


def mono(rule: Rule, **facts: object) -> Net:
    """Return a network on one image; by default it is fed `image` and says `depth`."""
    defaults = {'inputs': {'image': 'left'}, 'output': 'depth', 'shapes': {'depth': '11HW'}}
    return Net(rule=rule, **{**defaults, **facts})  # type: ignore[arg-type]


def stereo(rule: Rule, left: str, right: str, disparity: str, **facts: object) -> Net:
    """Return a network on a pair, from the names of its tensors."""
    defaults = {
        'inputs': {left: 'left', right: 'right'},
        'output': disparity,
        'says': 'disparity',
        'shapes': {disparity: '11HW'},
    }
    return Net(rule=rule, **{**defaults, **facts})  # type: ignore[arg-type]
