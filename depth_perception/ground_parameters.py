"""Parameters of the floor below the camera."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.settings import Checked, setting


@dataclass(frozen=True, kw_only=True)
class GroundSettings(Checked):
    """What is known of the floor."""

    ground__camera_height_m: float = setting(
        0.0,
        'Height of the optical centre above the floor; 0: not known.',
        unit='m',
        low=0.0,
        high=100.0,
        live=True,
    )
    ground__height_sigma_m: float = setting(
        0.01, 'Standard deviation of the height.', unit='m', low=0.0, high=10.0, live=True
    )
    ground__pitch_deg: float = setting(
        0.0,
        'Tilt of the optical axis below the horizon.',
        unit='deg',
        low=-80.0,
        high=89.0,
        live=True,
    )
    ground__roll_deg: float = setting(
        0.0,
        'Rotation about the optical axis, clockwise seen from behind the camera.',
        unit='deg',
        low=-180.0,
        high=180.0,
        live=True,
    )
    ground__tilt_sigma_deg: float = setting(
        0.5, 'Standard deviation of pitch and roll.', unit='deg', low=0.0, high=20.0, live=True
    )
    ground__frame: str = setting(
        '',
        'Frame whose x-y plane is the floor, e.g. base_footprint: height and tilt of the camera '
        "come from TF; '': from the parameters.",
    )

    @property
    def floor_is_known(self) -> bool:
        """Whether height and tilt of the camera are given, or TF is asked for them."""
        return self.ground__camera_height_m > 0.0 or bool(self.ground__frame)
