"""Start depth nodes for several cameras, each in a namespace of its own.

Example, for cameras that publish /front/image, /rear/image and the camera_info beside:
    ros2 launch depth_perception multi.launch.py cameras:=front,rear model:=...

Example, with a file that says more of each (config/cameras.yaml):
    ros2 launch depth_perception multi.launch.py cameras:=/robot/cameras.yaml shared:=true
"""

from __future__ import annotations

from depth_perception.ros.multi_launching import multi_launch_description
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the nodes; `--show-args` lists what can be set."""
    return multi_launch_description()
