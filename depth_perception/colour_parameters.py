"""The parameters of the coloured images, declared as those in `parameters`."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.errors import SettingsError
from depth_perception.settings import Checked, setting

PALETTE_NAMES = ('turbo', 'viridis', 'cividis')


@dataclass(frozen=True, kw_only=True)
class ColourSettings(Checked):
    """How depth/color and uncertainty/color look; see docs/view.md."""

    color__depth_near_m: float = setting(
        0.0,
        'First value of the colours of depth; 0: follows the scene, in round numbers.',
        unit='m',
        low=0.0,
        high=100.0,
        live=True,
    )
    color__depth_far_m: float = setting(
        0.0,
        'Last value of the colours of depth; 0: follows the scene.',
        unit='m',
        low=0.0,
        high=1000.0,
        live=True,
    )
    color__sigma_max_m: float = setting(
        0.0,
        'Last value of the colours of sigma; 0: follows the scene.',
        unit='m',
        low=0.0,
        high=100.0,
        live=True,
    )
    color__depth_palette: str = setting(
        'turbo',
        'Colours of depth. viridis and cividis are perceptually even.',
        choices=PALETTE_NAMES,
        live=True,
    )
    color__sigma_palette: str = setting(
        'viridis', 'Colours of sigma.', choices=PALETTE_NAMES, live=True
    )
    color__legend: bool = setting(
        True, 'Draw the colour bar with its numbers over the lowest rows of the image.', live=True
    )

    def check_together(self) -> None:
        """Check that the range of depth is not empty.

        Raises:
            SettingsError: If color.depth_near_m is not below color.depth_far_m.
        """
        super().check_together()
        near, far = self.color__depth_near_m, self.color__depth_far_m
        if 0.0 < far <= near:
            raise SettingsError(
                f'color.depth_near_m ({near}) must be below color.depth_far_m ({far})'
            )
