"""Several cameras in one process: a node for each, and one network for all.

Usage: multi_depth_node CAMERAS [PARAMETER=VALUE ...] [--ros-args ...]

CAMERAS is a YAML file, or names of cameras with commas between, whose images are NAME/image.

Every camera has a node as it would have by itself, in its own namespace: parameters, lifecycle,
status, scale and drops are kept apart, and so are the threads that work on frames. Only the
network is shared: it is loaded once, and takes images of several cameras in one run where it can.
"""

from __future__ import annotations

from collections.abc import Sequence
import sys
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.inference.camera_list import Camera, CameraList, cameras_of
from depth_perception.inference.network_pool import NetworkPool
from depth_perception.ros.depth_node import DepthNode
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.spin import run_all
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

NODES: dict[str, type[Any]] = {'mono': MonoDepthNode, 'stereo': StereoDepthNode}


def camera_node(camera: Camera, pool: NetworkPool, **options: Any) -> DepthNode:
    """Return the node of one camera.

    Args:
        camera: The camera.
        pool: Opens its network.
        options: Passed on to the node, e.g. `context`.

    Raises:
        SettingsError: If the parameter file is missing or a parameter is not accepted.
    """
    if not camera.params_file.is_file():
        raise SettingsError(f'{camera.name}: params_file {camera.params_file} is not a file')
    arguments = ['--ros-args', '--params-file', str(camera.params_file)]
    arguments += ['-r', f'__ns:=/{camera.namespace.strip("/")}']
    for topic, place in camera.topics.items():
        arguments += ['-r', f'{topic}:={place}']
    try:
        overrides = [Parameter(name, value=value) for name, value in camera.parameters.items()]
        node: DepthNode = NODES[camera.task](
            opener=pool.open, cli_args=arguments, parameter_overrides=overrides, **options
        )
    except (SettingsError, TypeError) as error:
        raise SettingsError(f'{camera.name}: {error}') from error
    return node


def camera_nodes(listed: CameraList, **options: Any) -> list[DepthNode]:
    """Return a node for each camera, which share their networks.

    Args:
        listed: The cameras.
        options: Passed on to the nodes, e.g. `context`.

    Raises:
        SettingsError: If a parameter is not accepted; says of which camera.
    """
    pool = NetworkPool(listed.window_s, listed.largest_batch)
    nodes: list[DepthNode] = []
    try:
        nodes.extend(camera_node(camera, pool, **options) for camera in listed.cameras)
    except BaseException:
        for node in nodes:
            node.destroy_node()
        raise
    return nodes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the nodes until they are told to stop."""
    given = remove_ros_args(list(sys.argv if arguments is None else arguments))[1:]
    if not given or given[0].startswith('-'):
        sys.stderr.write(f'{__doc__}\n')
        return 2
    return run_all(lambda: camera_nodes(cameras_of(given[0], given[1:])))


if __name__ == '__main__':
    sys.exit(main())
