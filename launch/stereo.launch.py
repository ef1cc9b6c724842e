"""Start the stereo depth node: metric depth from a rectified, synchronised image pair.

Example, for a camera that publishes camera_info beside its images:
    ros2 launch depth_perception stereo.launch.py namespace:=front \
        left_image:=/zed/left/image_rect right_image:=/zed/right/image_rect
"""

from __future__ import annotations

from depth_perception.ros.launching import depth_launch_description
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the stereo depth node; `--show-args` lists what can be set."""
    return depth_launch_description(
        'stereo', {'left_image': 'left/image_rect', 'right_image': 'right/image_rect'}
    )
