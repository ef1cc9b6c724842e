"""Play a bag through a depth node, and record what the node makes of it.

Example:
    ros2 launch depth_perception replay.launch.py bag:=drive_1 record:=drive_1_depth \
        left_image:=/zed/left/image_rect right_image:=/zed/right/image_rect

The arguments of stereo.launch.py and mono.launch.py can be given too. rosbag2 plays and records
where it is installed, else bag_player and bag_recorder of this package. Ends with the bag.
"""

from __future__ import annotations

from ament_index_python.packages import get_packages_with_prefixes
from depth_perception.fastdds import profile_environment
from depth_perception.resources import PACKAGE, resource_path
from depth_perception.ros.launching import presets
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.substitutions import ExecutableInPackage

CLOCK_HZ = '100'
START_DELAY_S = '3.0'  # for the node to come up and to find player and recorder
LAST_FRAMES_S = 2.0  # for the frames that are still under way when the bag has ended
OUTPUTS = (
    'depth/image_rect',
    'depth/camera_info',
    'uncertainty/image',
    'uncertainty/camera_info',
    'points',
)


def depth_launch(task: str) -> IncludeLaunchDescription:
    """Return the launch file of `task`, for the case that it is the task asked for."""
    chosen = PythonExpression(["'", LaunchConfiguration('task'), f"' == '{task}'"])
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(resource_path('launch', f'{task}.launch.py'))),
        launch_arguments={'use_sim_time': 'true'}.items(),
        condition=IfCondition(chosen),
    )


def bag_command(verb: str, own: str) -> list[str | ExecutableInPackage]:
    """Return the command that plays or records: of rosbag2, else this package's own."""
    if 'ros2bag' in get_packages_with_prefixes():
        return ['ros2', 'bag', verb]
    return [ExecutableInPackage(package=PACKAGE, executable=own)]


def recorder(context: LaunchContext) -> list[Action]:
    """Return the recorder of the node's outputs, if one is asked for."""
    folder = LaunchConfiguration('record').perform(context)
    if not folder:
        return []
    namespace = LaunchConfiguration('namespace').perform(context).strip('/')
    prefix = f'/{namespace}/' if namespace else '/'
    _, named = presets(LaunchConfiguration('task').perform(context), context)
    names = [named.outputs.get(topic, topic) for topic in OUTPUTS]
    topics = [name if name.startswith('/') else prefix + name for name in names]
    command = [*bag_command('record', 'bag_recorder'), '--output', folder, *topics]
    return [
        ExecuteProcess(
            cmd=command, name='recorder', additional_env=profile_environment(), output='screen'
        )
    ]


def at_the_end(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """Return what ends the launch after the player, unless ctrl-C is ending it already."""
    del event
    end = Shutdown(reason='the bag has ended')
    return [] if context.is_shutdown else [TimerAction(period=LAST_FRAMES_S, actions=[end])]


def generate_launch_description() -> LaunchDescription:
    """Return node, player and recorder; `--show-args` lists what can be set."""
    player = ExecuteProcess(
        cmd=[
            *bag_command('play', 'bag_player'),
            LaunchConfiguration('bag'),
            *('--rate', LaunchConfiguration('rate')),
            *('--clock', CLOCK_HZ),
            *('--delay', START_DELAY_S),
        ],
        name='player',
        additional_env=profile_environment(),
        output='screen',
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='Folder of the bag to play.'),
            DeclareLaunchArgument(
                'task', default_value='stereo', choices=['stereo', 'mono'], description='Node.'
            ),
            DeclareLaunchArgument(
                'rate', default_value='1.0', description='Speed of the replay; 1.0 is real time.'
            ),
            DeclareLaunchArgument(
                'record',
                default_value='',
                description='New folder for a bag of the outputs. Empty: do not record.',
            ),
            depth_launch('stereo'),
            depth_launch('mono'),
            OpaqueFunction(function=recorder),
            player,
            RegisterEventHandler(OnProcessExit(target_action=player, on_exit=at_the_end)),
        ]
    )
