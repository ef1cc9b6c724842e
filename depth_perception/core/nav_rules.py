"""What of an estimate matters to a robot that drives: the numbers behind `nav.*`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NavRules:
    """Which points a costmap is given.

    Attributes:
        columns: Samples per row of the image, about.
        min_range_m: Nearer points are not marked [m], e.g. parts of the robot.
        max_range_m: Farther points are not marked [m].
        min_height_m: Lower points are floor [m].
        max_height_m: Higher points do not hinder the robot [m].
        height_sigmas: An obstacle is higher than `min_height_m` by so many sigma of its height.
        max_sigma_m: Points with a greater sigma are not marked [m]; 0: any.
        max_sigma_relative: Points with a greater sigma / depth are not marked; 0: any.
        support: Of a sample and its 8 neighbours, so many must be obstacle too.
        seen_frames: An obstacle must have been seen in so many frames ...
        of_frames: ... of so many, the present one included.
        voxel_m: Side of the cube of which one point is published [m].
        most_share: Greatest share of the pixels that become points.
        max_slope_deg: Steepest ramp that is floor [deg]; 0: the floor is flat.
        drop_m: What lies this far below the floor is an obstacle [m]; 0: nothing does.
        clear_range_m: Rays are cut off here [m].
        clear_sigmas: Rays end so many sigma before what they hit.
        clear_columns: Whether no ray passes the nearest obstacle of its column of the image.
        clear_unknown: Whether rays into the unknown are free as far as what is seen below them.
        hidden_height_m: What is unknown may hide an obstacle this high [m]; rays stop there.
            0: what is unknown is ignored.
        least_known: Least share of the image that must be known; below it nothing is published.
    """

    columns: int = 160
    min_range_m: float = 0.2
    max_range_m: float = 5.0
    min_height_m: float = 0.1
    max_height_m: float = 2.0
    height_sigmas: float = 2.0
    max_sigma_m: float = 0.3
    max_sigma_relative: float = 0.1
    support: int = 4
    seen_frames: int = 2
    of_frames: int = 3
    voxel_m: float = 0.05
    most_share: float = 0.05
    max_slope_deg: float = 0.0
    drop_m: float = 0.0
    clear_range_m: float = 5.5
    clear_sigmas: float = 1.0
    clear_columns: bool = True
    clear_unknown: bool = True
    hidden_height_m: float = 0.2
    least_known: float = 0.05
