"""What mono.launch.py and stereo.launch.py have in common. Needs launch_ros, but not rclpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from depth_perception.errors import SettingsError
from depth_perception.fastdds import profile_environment
from depth_perception.inference.topic_presets import (
    input_topics,
    REFERENCES,
    remappings,
    TopicPreset,
    two_presets,
)
from depth_perception.resources import PACKAGE, resource_path
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

RESPAWN_DELAY_S = 2.0
# Launch argument -> parameter that it sets where it is not empty, and its type.
PARAMETERS: dict[str, tuple[str, type]] = {
    'model': ('model', str),
    'input_rectified': ('input_rectified', str),
    'scale_method': ('scale.method', str),
    'calibration_file': ('uncertainty.calibration_file', str),
    'camera_height_m': ('ground.camera_height_m', float),
    'camera_pitch_deg': ('ground.pitch_deg', float),
    'ground_frame': ('ground.frame', str),
}
RVIZ_TOPICS = (
    'depth/image_rect',
    'depth/color',
    'uncertainty/image',
    'uncertainty/color',
    'labels/image',
    'points',
    'points_nav',
    'points_clear',
)


def node_arguments(task: str) -> list[DeclareLaunchArgument]:
    """Return the launch arguments that both nodes take."""
    described = {
        'namespace': ('', 'Namespace of the node and of all its topics.'),
        'params_file': (
            str(resource_path('config', f'{task}.yaml')),
            'YAML file with the parameters of the node.',
        ),
        'topics': (
            '',
            'Stand in for a driver: realsense, zed or isaac, or NAME@NAMESPACE/NODE for another '
            'name of its node. Inputs and outputs have its topics. Empty: names of our own.',
        ),
        'inputs': (
            '',
            'The same for the inputs alone; own: names of our own. Empty: those of topics.',
        ),
        'model': (
            '',
            'Model card: an id of "depth_perception models list", or the path of a card. '
            'Empty: the one of params_file.',
        ),
        'input_rectified': (
            '',
            'yes: the images are rectified although their camera_info has distortion, as with '
            'image_proc; no: rectify them in the node. Empty: the one of params_file.',
        ),
        'scale_method': (
            '',
            'auto, network, references, ground, plugin or prior: where the metres come from. '
            'Empty: the one of params_file.',
        ),
        'calibration_file': (
            '',
            'Calibration of sigma, made by "depth_perception calibrate". '
            'Empty: the one of params_file.',
        ),
        'camera_height_m': (
            '',
            'Height of the camera above the floor. Empty: the one of params_file.',
        ),
        'camera_pitch_deg': (
            '',
            'Tilt of the camera below the horizon. Empty: the one of params_file.',
        ),
        'ground_frame': (
            '',
            'Frame on the floor, from which TF tells height and tilt, e.g. base_footprint. '
            'Empty: the one of params_file.',
        ),
        'use_sim_time': ('false', 'Take the time from /clock.'),
        'log_level': ('info', 'debug, info, warn, error or fatal.'),
        'autostart': (
            'true',
            'Configure and activate the node when it starts; false: leave that to a lifecycle '
            'manager.',
        ),
        'use_respawn': ('false', f'Start the node again {RESPAWN_DELAY_S:g} s after it died.'),
        'use_rviz': ('false', 'Open RViz with the image, depth, sigma and the points.'),
        'rviz_frame': (
            '',
            'Fixed frame of RViz, e.g. the frame_id of the images. Empty: that of its file.',
        ),
    }
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in described.items()
    ]


def topic_arguments(images: Mapping[str, str]) -> list[DeclareLaunchArgument]:
    """Return the launch arguments that name the sources of the inputs."""
    arguments = []
    for argument, topic in input_topics(images).items():
        text, default = f'Topic that {topic} is taken from.', topic
        if argument not in images:
            text, default = f'{text} Empty: the camera_info beside the image.', ''
        arguments.append(DeclareLaunchArgument(argument, default_value=default, description=text))
    for argument, topic in REFERENCES.items():
        text = f'Topic that {topic} is taken from. Empty: the topic of that name.'
        arguments.append(DeclareLaunchArgument(argument, default_value='', description=text))
    return arguments


def presets(task: str, context: LaunchContext) -> tuple[TopicPreset, TopicPreset]:
    """Return the presets of the inputs and of the outputs that the launch arguments name.

    Raises:
        SettingsError: If there is no such preset.
    """
    topics, inputs = (LaunchConfiguration(name).perform(context) for name in ('topics', 'inputs'))
    return two_presets(topics, inputs, task)


def depth_node(
    task: str,
    images: Mapping[str, str],
    context: LaunchContext,
    extra: Mapping[str, Any] | None = None,
) -> list[Node]:
    """Return the node of `task`, set up from the values that the launch arguments have.

    Args:
        task: 'mono' or 'stereo'.
        images: Launch argument that names the source of an image -> input topic of the node.
        context: Holds the values of the launch arguments.
        extra: More parameters of the node.

    Raises:
        SettingsError: If params_file is not a file, where launch_ros would go on with the
            defaults, or there is no such preset of topics.
    """
    inputs, outputs = presets(task, context)
    params_file = LaunchConfiguration('params_file').perform(context)
    if not Path(params_file).is_file():
        raise SettingsError(f'params_file: {params_file} is not a file')
    parameters: dict[str, Any] = {
        **outputs.parameters,
        **(extra or {}),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
    }
    for argument, (name, value_type) in PARAMETERS.items():
        if LaunchConfiguration(argument).perform(context):
            value = LaunchConfiguration(argument)
            parameters[name] = ParameterValue(value, value_type=value_type)
    said = {
        topic: LaunchConfiguration(argument).perform(context)
        for argument, topic in {**input_topics(images), **REFERENCES}.items()
    }
    names = remappings(images, said, inputs, outputs)
    return [
        Node(
            package=PACKAGE,
            executable=f'{task}_depth_node',
            name=f'{task}_depth_node',
            namespace=LaunchConfiguration('namespace'),
            parameters=[params_file, parameters],
            remappings=list(names.items()),
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            additional_env=profile_environment(),
            respawn=LaunchConfiguration('use_respawn'),
            respawn_delay=RESPAWN_DELAY_S,
            output='screen',
        )
    ]


def rviz(
    task: str | None, name: str | None, images: Mapping[str, str], context: LaunchContext
) -> list[Node]:
    """Return RViz, started on demand; the absolute topics of its file follow those of the node.

    Args:
        task: 'mono' or 'stereo'; None: the launch argument of that name.
        name: File of config/rviz, without its suffix; None: that of the task.
        images: Launch argument that names the source of an image -> topic in the file.
        context: Holds the values of the launch arguments.
    """
    task = task or LaunchConfiguration('task').perform(context)
    said = {t: LaunchConfiguration(argument).perform(context) for argument, t in images.items()}
    names = remappings(images, said, *presets(task, context))
    frame = LaunchConfiguration('rviz_frame').perform(context)
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),
            arguments=[
                *('-d', str(resource_path('config', 'rviz', f'{name or task}.rviz'))),
                *(('-f', frame) if frame else ()),
            ],
            remappings=[(f'/{topic}', names.get(topic, topic)) for topic in (*RVIZ_TOPICS, *said)],
            parameters=[
                {
                    'use_sim_time': ParameterValue(
                        LaunchConfiguration('use_sim_time'), value_type=bool
                    )
                }
            ],
            condition=IfCondition(LaunchConfiguration('use_rviz')),
            output='log',
        )
    ]


def depth_launch_description(task: str, images: Mapping[str, str]) -> LaunchDescription:
    """Return the launch description of one depth node.

    Args:
        task: 'mono' or 'stereo'.
        images: Launch argument that names the source of an image -> input topic of the node.
    """
    start = OpaqueFunction(function=lambda context: depth_node(task, images, context))
    look = OpaqueFunction(function=lambda context: rviz(task, None, images, context))
    return LaunchDescription([*node_arguments(task), *topic_arguments(images), start, look])
