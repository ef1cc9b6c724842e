"""The parameters of the clouds for navigation, declared as those in `parameters`."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.errors import SettingsError
from depth_perception.settings import Checked, setting


@dataclass(frozen=True, kw_only=True)
class NavSettings(Checked):
    """What points_nav and points_clear hold; see docs/nav2.md."""

    nav__min_range_m: float = setting(
        0.2, 'Nearer points are not marked.', unit='m', low=0.0, high=10.0, live=True
    )
    nav__max_range_m: float = setting(
        5.0, 'Farther points are not marked.', unit='m', low=0.5, high=100.0, live=True
    )
    nav__min_height_m: float = setting(
        0.1,
        'What is no higher above the floor is driven over. Heights count where the floor is '
        'known, by ground.frame or ground.camera_height_m.',
        unit='m',
        low=0.01,
        high=2.0,
        live=True,
    )
    nav__max_height_m: float = setting(
        2.0, 'What is higher is driven under.', unit='m', low=0.1, high=20.0, live=True
    )
    nav__height_sigmas: float = setting(
        2.0,
        'An obstacle is higher than nav.min_height_m by so many sigma of its height.',
        low=0.0,
        high=10.0,
        live=True,
    )
    nav__max_sigma_m: float = setting(
        0.3, 'Points with a greater sigma are not marked; 0: any.', unit='m', low=0.0, high=10.0,
        live=True,
    )  # fmt: skip
    nav__max_sigma_relative: float = setting(
        0.1,
        'Points with a greater sigma / depth are not marked; 0: any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    nav__support: int = setting(
        4,
        'Of an obstacle sample and its 8 neighbours, so many must be obstacle; 1: it alone.',
        low=1,
        high=9,
        live=True,
    )
    nav__seen_frames: int = setting(
        2,
        'An obstacle must have been seen in so many of the last nav.of_frames frames.',
        low=1,
        high=20,
        live=True,
    )
    nav__of_frames: int = setting(
        3, 'See nav.seen_frames; the present frame is one of them.', low=1, high=20, live=True
    )
    nav__voxel_m: float = setting(
        0.05,
        'Side of the cube of which one point is published.',
        unit='m',
        low=0.01,
        high=1.0,
        live=True,
    )
    nav__max_slope_deg: float = setting(
        0.0,
        'Steepest ramp that is floor; 0: the floor is flat.',
        unit='deg',
        low=0.0,
        high=45.0,
        live=True,
    )
    nav__drop_m: float = setting(
        0.0,
        'Mark the edge of what lies this far below the floor, e.g. stairs; 0: no. Reflections in '
        'a polished floor look like holes in it.',
        unit='m',
        low=0.0,
        high=10.0,
        live=True,
    )
    nav__clear_range_m: float = setting(
        5.5,
        'Clearing rays are cut off here.',
        unit='m',
        low=0.5,
        high=100.0,
        live=True,
    )
    nav__clear_sigmas: float = setting(
        1.0, 'Clearing rays end so many sigma before what they hit.', low=0.0, high=10.0, live=True
    )
    nav__clear_columns: bool = setting(
        True,
        'No clearing ray passes the nearest obstacle of its column of the image, as a '
        '2-D costmap needs, which one ray over a box would clear; false for voxel layers.',
        live=True,
    )
    nav__clear_unknown: bool = setting(
        True,
        'Clear along rays into the unknown (an even sky) as far as what is seen below them in '
        'the image, taking it that things stand on the floor.',
        live=True,
    )
    nav__clear_hidden_height_m: float = setting(
        0.2,
        'Clearing rays stop where something unknown could hide an obstacle this high; 0: what is '
        'unknown does not count.',
        unit='m',
        low=0.0,
        high=10.0,
        live=True,
    )
    nav__least_known: float = setting(
        0.05,
        'Share of the image that must be known; below it nothing is published, and the costmap '
        'sees that its source is silent.',
        low=0.0,
        high=1.0,
        live=True,
    )

    def check_together(self) -> None:
        """Check that the bands are not empty.

        Raises:
            SettingsError: Naming the parameters that contradict each other.
        """
        super().check_together()
        for low, high in (
            ('nav.min_range_m', 'nav.max_range_m'),
            ('nav.min_height_m', 'nav.max_height_m'),
        ):
            least, most = (getattr(self, name.replace('.', '__')) for name in (low, high))
            if least >= most:
                raise SettingsError(f'{low} ({least}) must be below {high} ({most})')
        if self.nav__seen_frames > self.nav__of_frames:
            raise SettingsError(
                f'nav.seen_frames ({self.nav__seen_frames}) must not be above nav.of_frames '
                f'({self.nav__of_frames})'
            )
