"""The parameters of references and frames, declared as those in `parameters`."""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.errors import SettingsError
from depth_perception.ground_parameters import GroundSettings
from depth_perception.settings import setting


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(GroundSettings):
    """What is measured beside the images: references of depth, and the frames of TF."""

    reference__source: str = setting(
        'auto',
        'References to listen to, on reference/points and reference/depth; auto: both, while '
        'somebody publishes them.',
        choices=('auto', 'points', 'depth', 'none'),
    )
    reference__max_age_s: float = setting(
        0.3,
        'Greatest difference of the stamps of reference and image.',
        unit='s',
        low=0.0,
        high=60.0,
        live=True,
    )
    reference__wait_s: float = setting(
        0.0,
        'How long a frame may wait for a reference that is as young as its image; 0: what is '
        'there is used.',
        unit='s',
        low=0.0,
        high=0.4,
        live=True,
    )
    reference__sigma_m: float = setting(
        0.03,
        'Standard deviation of a reference, the same at any range. A field uncertainty or sigma '
        'of the cloud wins over this and the next.',
        unit='m',
        low=0.0,
        high=10.0,
        live=True,
    )
    reference__sigma_relative: float = setting(
        0.01, 'The same, as a share of the depth.', low=0.0, high=1.0, live=True
    )
    reference__drift_m_per_s: float = setting(
        0.1,
        'Growth of that sigma with the difference of the stamps, where TF tells the motion of '
        'the camera between them.',
        unit='m/s',
        low=0.0,
        high=100.0,
        live=True,
    )
    reference__speed_m_per_s: float = setting(
        0.5,
        'Growth of that sigma with the time for which TF does not tell the motion.',
        unit='m/s',
        low=0.0,
        high=100.0,
        live=True,
    )
    reference__extrinsics: str = setting(
        '',
        "Pose of the reference sensor in the optical frame of the camera, 'x y z roll pitch yaw' "
        '[m, rad], turned about fixed axes. A laser (x ahead, z up) 0.4 m above the camera: '
        "'0 -0.4 0 1.5708 -1.5708 0'. '': by TF.",
    )
    fixed_frame: str = setting(
        'odom',
        'Frame that stands still, to follow the motion of the camera; where TF does not know it: '
        'map, world.',
    )

    def check_together(self) -> None:
        """Check that the extrinsics can be read.

        Raises:
            SettingsError: If they are not six numbers.
        """
        super().check_together()
        self.reference_extrinsics()

    def reference_extrinsics(self) -> tuple[float, ...] | None:
        """Return x, y, z [m], roll, pitch, yaw [rad] of the reference sensor; None: by TF.

        Raises:
            SettingsError: If they are not six numbers.
        """
        text = self.reference__extrinsics.strip(' []')
        if not text:
            return None
        try:
            numbers = tuple(float(part) for part in text.replace(',', ' ').split())
        except ValueError:
            numbers = ()
        if len(numbers) != 6 or not all(math.isfinite(number) for number in numbers):
            raise SettingsError(
                f'reference.extrinsics: {self.reference__extrinsics!r} is not x y z roll pitch '
                "yaw, e.g. '0 -0.4 0 1.5708 -1.5708 0'"
            )
        return numbers
