"""Start the mono depth node: metric depth from one camera.

Example, for a camera that publishes camera_info beside its image:
    ros2 launch depth_perception mono.launch.py image:=/camera/image_rect model:=floor-stixels
"""

from __future__ import annotations

from depth_perception.ros.launching import depth_launch_description
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the mono depth node; `--show-args` lists what can be set."""
    return depth_launch_description('mono', {'image': 'image'})
