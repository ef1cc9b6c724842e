"""The parameters of what the nodes publish."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.errors import SettingsError
from depth_perception.settings import Checked, setting


@dataclass(frozen=True, kw_only=True)
class OutputSettings(Checked):
    """How messages are labelled, laid out and compressed."""

    output_frame_id: str = setting(
        '',
        'Frame that the outputs are labelled with, where it has another name and the same pose; '
        "'': that of the (left) image.",
        live=True,
    )
    cloud__frame_id: str = setting(
        '', "The same for `points` alone; '': as the other outputs.", live=True
    )
    cloud__axes: str = setting(
        'optical',
        'Axes of `points`. optical: z forward, x right, y down; body: x forward, y left, z up, '
        'which needs cloud.frame_id.',
        choices=('optical', 'body'),
        live=True,
    )
    cloud__organised: bool = setting(
        True,
        '`points` has rows and columns like the image, with NaN where nothing is known; false: '
        'one row of the known points.',
        live=True,
    )
    cloud__max_sigma_m: float = setting(
        0.0,
        'Points with a greater sigma are left out of the cloud; 0: none.',
        unit='m',
        low=0.0,
        high=1000.0,
        live=True,
    )
    cloud__max_sigma_relative: float = setting(
        0.0,
        'Points with a greater sigma / depth are left out of the cloud; 0: none.',
        low=0.0,
        high=1.0,
        live=True,
    )
    compressed_depth__format: str = setting(
        'png', 'Coding of compressedDepth.', choices=('png', 'rvl'), live=True
    )
    compressed_depth__png_level: int = setting(
        1, 'Effort of the compressedDepth PNG.', low=0, high=9, live=True
    )
    compressed_depth__depth_max_m: float = setting(
        20.0,
        'Farthest depth that compressedDepth can hold.',
        unit='m',
        low=1.0,
        high=1000.0,
        live=True,
    )
    compressed_depth__depth_quantization: float = setting(
        100.0,
        'Depth at which the compressedDepth quantisation step is 1 / 65535 of the range '
        'of inverse depth.',
        low=1.0,
        high=1000.0,
        live=True,
    )

    def check_together(self) -> None:
        """Check that a cloud in other axes is labelled with a frame that has them.

        Raises:
            SettingsError: If it is not.
        """
        super().check_together()
        if self.cloud__axes == 'body' and not self.cloud__frame_id:
            raise SettingsError(
                'cloud.axes: body needs cloud.frame_id, a frame with x forward at the camera'
            )
