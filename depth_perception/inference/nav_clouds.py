"""The clouds for navigation of one stream of frames, by the settings of a node."""

from __future__ import annotations

from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.nav_clear import clearing_ends
from depth_perception.core.nav_points import NavCloud, NavPoints
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import NavView, view_of
from depth_perception.inference.scaling import ground_pose
from depth_perception.nav_parameters import NavSettings
from depth_perception.parameters import EstimatorSettings


def nav_rules(settings: NavSettings) -> NavRules:
    """Return the rules that the parameters `nav.*` make."""
    return NavRules(
        min_range_m=settings.nav__min_range_m,
        max_range_m=settings.nav__max_range_m,
        min_height_m=settings.nav__min_height_m,
        max_height_m=settings.nav__max_height_m,
        height_sigmas=settings.nav__height_sigmas,
        max_sigma_m=settings.nav__max_sigma_m,
        max_sigma_relative=settings.nav__max_sigma_relative,
        support=settings.nav__support,
        seen_frames=settings.nav__seen_frames,
        of_frames=settings.nav__of_frames,
        voxel_m=settings.nav__voxel_m,
        max_slope_deg=settings.nav__max_slope_deg,
        drop_m=settings.nav__drop_m,
        clear_range_m=settings.nav__clear_range_m,
        clear_sigmas=settings.nav__clear_sigmas,
        clear_columns=settings.nav__clear_columns,
        clear_unknown=settings.nav__clear_unknown,
        hidden_height_m=settings.nav__clear_hidden_height_m,
        least_known=settings.nav__least_known,
    )


class NavClouds:
    """Makes `points_nav`, `points_clear` and labels of frames in the order of their stamps.

    All look at the same view of a frame, which is made once.
    """

    def __init__(self) -> None:
        self._points = NavPoints()
        self._of: tuple[DepthEstimate, NavRules] | None = None
        self._view: NavView | None = None

    def points(
        self,
        estimate: DepthEstimate,
        frame: MonoFrame | StereoFrame,
        rules: NavRules,
        settings: EstimatorSettings,
    ) -> NavCloud | None:
        """Return the points to mark; None if the frame says too little, see `NavPoints`.

        Args:
            estimate: Depth and sigma of the frame.
            frame: What the estimate was made of.
            rules: What is marked.
            settings: Where the floor is, if TF does not say it.
        """
        return self._points.points(self.view(estimate, frame, rules, settings), rules)

    def ends(
        self,
        estimate: DepthEstimate,
        frame: MonoFrame | StereoFrame,
        rules: NavRules,
        settings: EstimatorSettings,
    ) -> NavCloud | None:
        """Return the ends of clearing rays; None if the frame says too little.

        Args:
            estimate: Depth and sigma of the frame.
            frame: What the estimate was made of.
            rules: How far is cleared.
            settings: Where the floor is, if TF does not say it.
        """
        return clearing_ends(self.view(estimate, frame, rules, settings), rules)

    def view(
        self,
        estimate: DepthEstimate,
        frame: MonoFrame | StereoFrame,
        rules: NavRules,
        settings: EstimatorSettings,
    ) -> NavView:
        """Return the view that both clouds are made of; of one frame it is made once.

        Args:
            estimate: Depth and sigma of the frame.
            frame: What the estimate was made of.
            rules: What is an obstacle.
            settings: Where the floor is, if TF does not say it.
        """
        of = self._of
        if self._view is None or of is None or of[0] is not estimate or of[1] != rules:
            pose = frame.surroundings.fixed_from_camera
            self._view = view_of(estimate, rules, ground_pose(frame, settings), pose)
            self._of = estimate, rules
        return self._view
