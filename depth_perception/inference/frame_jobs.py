"""What a backend can do for a whole frame, beside running a network on finished tensors.

A backend on a GPU takes the picture itself, and makes depth, sigma and cloud of a metric map; and
it runs while the calling thread does something else. Others return None, and the caller does the
same on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from depth_perception.core.frame import Picture
from depth_perception.core.types import AnyArray, DepthMap, Mask, SigmaMap
from depth_perception.inference.kernel_twins import (
    FinishArguments,
    PrepareArguments,
    PublishArguments,
)


@dataclass(frozen=True)
class ImageInput:
    """An input tensor, or a part of its channels, that is made of a picture.

    Attributes:
        tensor: Name of the tensor.
        picture: What it is made of.
        arguments: How.
        first: Where in the tensor it begins, in numbers.
    """

    tensor: str
    picture: Picture
    arguments: PrepareArguments
    first: int = 0


@dataclass(frozen=True)
class NetworkJob:
    """One run of a network.

    Attributes:
        images: Inputs that are made of pictures.
        feeds: The other inputs.
        shapes: Shape of each input of `images`.
    """

    images: tuple[ImageInput, ...]
    feeds: Mapping[str, AnyArray] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def all_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all inputs."""
        return {**{name: array.shape for name, array in self.feeds.items()}, **self.shapes}


@dataclass(frozen=True)
class PublishJob:
    """One metric map that is judged and made a cloud.

    Attributes:
        rho: (H, W) float32 inverse depth [1/m].
        sigma_rho: (H, W) float32 [1/m].
        far: (H, W) bool, sky; None if there is none.
        picture: Colours of the cloud; None: no cloud is wanted.
        publish: How to judge.
        finish: How to take flying pixels away; None: they stay.
    """

    rho: AnyArray
    sigma_rho: SigmaMap
    far: Mask | None
    picture: Picture | None
    publish: PublishArguments
    finish: FinishArguments | None


@dataclass(frozen=True)
class Published:
    """What became of a map.

    Attributes:
        depth: (H, W) float32 [m], NaN unknown, +Inf too far, -Inf too near.
        sigma: (H, W) float32 [m], NaN where depth is not finite.
        cloud: (H, W, 5) uint32, the packed cloud, in memory that the next cloud but one reuses;
            None if none was wanted.
    """

    depth: DepthMap
    sigma: SigmaMap
    cloud: AnyArray | None


class Pending(Protocol):
    """A run that is under way."""

    def result(self) -> dict[str, AnyArray]:
        """Wait for it and return the outputs, which nobody will touch.

        Raises:
            ModelError: If the network fails.
        """
