"""What multi.launch.py starts: a process for each camera, or one for all."""

from __future__ import annotations

from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.fastdds import profile_environment
from depth_perception.inference.camera_list import Camera, cameras_of
from depth_perception.resources import PACKAGE
from depth_perception.ros.launching import RESPAWN_DELAY_S
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

ARGUMENTS: dict[str, tuple[str | None, str, list[str] | None]] = {
    'cameras': (
        None,
        'YAML file (see config/cameras.yaml), or names of cameras with commas between: the images '
        'are NAME/image, or NAME/left/image_rect and NAME/right/image_rect.',
        None,
    ),
    'task': ('mono', 'Node of cameras that are only named.', ['mono', 'stereo']),
    'shared': (
        'false',
        'true: one process, which loads the network once and gives it images of several cameras '
        'at once; false: a process for each camera.',
        ['true', 'false'],
    ),
    'model': ('', 'Model card of all cameras. Empty: that of the files.', None),
    'use_sim_time': ('false', 'Take the time from /clock.', None),
    'log_level': ('info', 'debug, info, warn, error or fatal.', None),
    'autostart': ('true', 'false: leave transitions to a lifecycle manager.', ['true', 'false']),
    'use_respawn': ('false', f'Start a process again {RESPAWN_DELAY_S:g} s after it died.', None),
}


def start(context: LaunchContext) -> list[Node]:
    """Return what runs the cameras.

    Raises:
        SettingsError: If the cameras cannot be read, or a parameter file is missing.
    """
    said = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    assignments = [f'task={said["task"]}', f'autostart={said["autostart"].lower()}']
    if said['model']:
        assignments.append(f'model={said["model"]}')
    listed = cameras_of(said['cameras'], assignments)
    for camera in listed.cameras:
        if not camera.params_file.is_file():
            raise SettingsError(f'{camera.name}: params_file {camera.params_file} is not a file')
    if said['shared'] == 'true':
        return [_process('multi_depth_node', arguments=[said['cameras'], *assignments])]
    return [_camera(camera) for camera in listed.cameras]


def _camera(camera: Camera) -> Node:
    return _process(
        f'{camera.task}_depth_node',
        name=f'{camera.task}_depth_node',
        namespace=camera.namespace,
        parameters=[str(camera.params_file), dict(camera.parameters)],
        remappings=list(camera.topics.items()),
    )


def _process(
    executable: str,
    arguments: list[str] | None = None,
    parameters: list[Any] | None = None,
    **options: Any,
) -> Node:
    clock = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    return Node(
        package=PACKAGE,
        executable=executable,
        arguments=[
            *(arguments or []),
            *('--ros-args', '--log-level', LaunchConfiguration('log_level')),
        ],
        parameters=[*(parameters or []), {'use_sim_time': clock}],
        additional_env=profile_environment(),
        respawn=LaunchConfiguration('use_respawn'),
        respawn_delay=RESPAWN_DELAY_S,
        output='screen',
        **options,
    )


def multi_launch_description() -> LaunchDescription:
    """Return the launch description of several cameras."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, (default, text, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
