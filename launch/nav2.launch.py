"""From camera to costmap: the depth node, and Nav2 with a depth layer in its local costmap.

Example, for a robot whose TF has base_footprint on the floor:
    ros2 launch depth_perception nav2.launch.py task:=stereo ground_frame:=base_footprint \
        left_image:=/zed/left/image_rect right_image:=/zed/right/image_rect \
        nav2_params:=/path/nav2_params.yaml
"""

from __future__ import annotations

from pathlib import Path
import tempfile
from typing import Any

from ament_index_python.packages import get_package_share_directory
from depth_perception.errors import SettingsError
from depth_perception.inference.nav2_files import (
    camera_of,
    EXAMPLE_CAMERA,
    LAYERS,
    settings_of,
    texts_of,
    with_depth_layer,
    yaml_of,
)
from depth_perception.resources import resource_path
from depth_perception.ros.launching import depth_node, node_arguments, rviz, topic_arguments
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
import yaml

IMAGES = {
    'stereo': {'left_image': 'left/image_rect', 'right_image': 'right/image_rect'},
    'mono': {'image': 'image'},
}
ARGUMENTS = {
    'task': ('stereo', 'stereo or mono.', [*IMAGES]),
    'layer': ('obstacle', 'Costmap layer: obstacle (2-D), voxel (3-D) or stvl.', [*LAYERS]),
    'nav2_params': ('', 'Parameters of your Nav2. Empty: those of nav2_bringup.', None),
    'nav2_namespace': ('', 'Namespace of Nav2; that of the depth node is `namespace`.', None),
    'start_nav2': ('true', 'false: start the depth node alone.', ['true', 'false']),
    'ground_frame': (
        '',
        'Frame on the floor, e.g. base_footprint. Empty: ground.* of params_file.',
        None,
    ),
    'camera_info_file': ('', 'YAML of the camera_info, for the field of view of stvl.', None),
    'frame_rate': ('10.0', 'Frames per second of the camera [Hz].', None),
}


def start(context: LaunchContext) -> list[Any]:
    """Return the node, and Nav2 with its parameters merged.

    Raises:
        SettingsError: If a file cannot be read, or does not fit.
    """
    said = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    task = said['task']
    extra: dict[str, Any] = {'nav.clear_columns': said['layer'] != 'voxel'}
    if said['ground_frame']:
        extra['ground.frame'] = said['ground_frame']
    params = LaunchConfiguration('params_file').perform(context)
    params = params or str(resource_path('config', f'{task}.yaml'))
    context.launch_configurations['params_file'] = params
    actions: list[Any] = list(depth_node(task, IMAGES[task], context, extra))
    if said['start_nav2'] == 'true':
        actions.append(_nav2(context, said, Path(params)))
    return actions


def _nav2(context: LaunchContext, said: dict[str, str], params: Path) -> GroupAction:
    try:
        bringup = Path(get_package_share_directory('nav2_bringup'))
        rate_hz = float(said['frame_rate'])
    except LookupError as error:
        raise SettingsError(f'Nav2 is not installed ({error}); start_nav2:=false') from error
    except ValueError as error:
        raise SettingsError(f'frame_rate: {error}') from error
    nav2_params = Path(said['nav2_params'] or bringup / 'params' / 'nav2_params.yaml')
    frame = [f'ground.frame={said["ground_frame"]}'] if said['ground_frame'] else []
    settings = settings_of(said['task'], params, frame)
    camera = camera_of(Path(said['camera_info_file'])) if said['camera_info_file'] else None
    namespace = LaunchConfiguration('namespace').perform(context)
    texts = texts_of(settings, camera or EXAMPLE_CAMERA, namespace, rate_hz)
    merged = with_depth_layer(yaml_of(nav2_params, SettingsError), texts[LAYERS[said['layer']]])
    with tempfile.NamedTemporaryFile('w', suffix='_nav2.yaml', delete=False) as file:
        yaml.safe_dump(merged, file, sort_keys=False)
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(bringup / 'launch' / 'navigation_launch.py')),
        launch_arguments={
            'namespace': said['nav2_namespace'],
            'params_file': file.name,
            'use_sim_time': LaunchConfiguration('use_sim_time'),
        }.items(),
    )
    return GroupAction([include], scoped=True)  # its arguments have the names of ours


def generate_launch_description() -> LaunchDescription:
    """Return the depth node and Nav2; `--show-args` lists what can be set."""
    own = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, (default, text, choices) in ARGUMENTS.items()
    ]
    shared = [
        DeclareLaunchArgument(
            'params_file', default_value='', description='YAML file. Empty: that of the task.'
        )
        if argument.name == 'params_file'
        else argument
        for argument in node_arguments('stereo')
    ]
    topics = topic_arguments({**IMAGES['stereo'], **IMAGES['mono']})
    look = OpaqueFunction(function=lambda context: rviz(None, 'nav2', {}, context))
    return LaunchDescription([*own, *shared, *topics, OpaqueFunction(function=start), look])
