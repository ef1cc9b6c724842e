"""A scale guessed by a package of the user's own, e.g. from a caption of the scene.

A plug-in is a class (or any callable without arguments) that another installed package offers
under the entry point group `depth_perception.scale`. It is off unless the parameter
`scale.plugin` names it, because it runs code that is not ours; a model card cannot name one.
docs/scale.md has an example.
"""

from __future__ import annotations

from importlib.metadata import entry_points
import math
from typing import Protocol

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.core.scale_types import Outcome, Rejected, Rejection, ScaleFit
from depth_perception.errors import SettingsError
import numpy as np
from numpy.typing import NDArray

GROUP = 'depth_perception.scale'


class ScalePlugin(Protocol):
    """What a plug-in offers."""

    def scale(
        self, image: Picture, output: NDArray[np.float32], camera: PinholeCamera
    ) -> ScaleFit | None:
        """Return the scale of one frame, or None if there is no telling.

        Args:
            image: The rectified image.
            output: (H, W) output of the network, NaN unknown.
            camera: Camera of the image.

        Returns:
            rho = s o + t [1/m] (depth [m] for networks that are affine in depth) with the
            covariance of (s, t). The guess is never believed to better than 15 %.
        """


def open_plugin(name: str) -> ScalePlugin:
    """Return the plug-in of this name.

    Raises:
        SettingsError: If no installed package offers it, or it does not start.
    """
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        raise SettingsError(
            f'scale.plugin: no installed package offers {name!r} under the entry points '
            f'{GROUP}; there are {", ".join(sorted(offered)) or "none"}'
        )
    try:
        made: ScalePlugin = offered[name].load()()
    except Exception as error:
        raise SettingsError(f'scale.plugin: {name} does not start: {error!r}') from error
    return made


def guess_of(
    plugin: ScalePlugin, image: Picture, output: NDArray[np.float32], camera: PinholeCamera
) -> Outcome:
    """Return the guess of a plug-in, checked; a defect in it costs the guess, not the frame."""
    try:
        found = plugin.scale(image, output, camera)
        if found is None:
            return Rejected(Rejection.NO_REFERENCES, 'the plug-in has no guess')
        covariance = np.asarray(found.covariance, np.float64)
        numbers = [float(found.s), float(found.t), *np.ravel(covariance).tolist()]
    except Exception as error:  # noqa: BLE001 - somebody else's code
        return Rejected(Rejection.NO_REFERENCES, f'the plug-in failed: {error!r}')
    if covariance.shape != (2, 2) or not all(math.isfinite(value) for value in numbers):
        return Rejected(Rejection.NO_REFERENCES, f'the plug-in gave no numbers: {found}')
    if found.s <= 0.0:
        return Rejected(Rejection.NOT_POSITIVE, f'the plug-in gave the scale {found.s:.3g}')
    return ScaleFit(numbers[0], numbers[1], covariance)
