"""Launch files without a running system: what they declare, and what they hand to the node."""

from __future__ import annotations

import os
from pathlib import Path
import re
from typing import Any

import pytest

LAUNCH = Path(__file__).resolve().parents[2] / 'launch'
FILES = sorted(LAUNCH.glob('*.launch.py'))
EXPECTED = {
    'namespace', 'params_file', 'model', 'input_rectified', 'use_sim_time', 'log_level',
    'autostart', 'use_respawn', 'use_rviz', 'reference_points', 'reference_depth', 'scale_method',
    'calibration_file', 'camera_height_m', 'camera_pitch_deg', 'ground_frame', 'rviz_frame',
    'topics', 'inputs',
}  # fmt: skip


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_launch_file_compiles(path):
    compile(path.read_text(encoding='utf-8'), str(path), 'exec')


def description_of(name: str) -> Any:
    """Return the launch description of a launch file, or skip where launch is missing."""
    pytest.importorskip('launch_ros')
    sources = pytest.importorskip('launch.launch_description_sources')
    return sources.get_launch_description_from_python_launch_file(str(LAUNCH / name))


@pytest.mark.apt
@pytest.mark.parametrize(
    ('name', 'topics'),
    [
        ('stereo', {'left_image', 'right_image', 'left_camera_info', 'right_camera_info'}),
        ('mono', {'image', 'camera_info'}),
    ],
)
def test_arguments_are_the_expected_ones_and_described(name, topics):
    arguments = description_of(f'{name}.launch.py').get_launch_arguments()
    assert {argument.name for argument in arguments} == EXPECTED | topics
    assert all(argument.description.endswith('.') for argument in arguments)


@pytest.mark.apt
def test_replay_takes_the_arguments_of_the_node_too():
    arguments = description_of('replay.launch.py').get_launch_arguments()
    assert {a.name for a in arguments} >= EXPECTED | {'bag', 'task', 'rate', 'record', 'image'}


@pytest.mark.apt
def test_nav2_takes_the_arguments_of_both_nodes_too():
    arguments = description_of('nav2.launch.py').get_launch_arguments()
    names = [argument.name for argument in arguments]
    assert len(names) == len(set(names))
    assert set(names) >= EXPECTED | {'task', 'layer', 'nav2_params', 'image', 'left_image'}
    told = [argument.description.partition(' Valid choices are')[0] for argument in arguments]
    assert all(text.endswith('.') for text in told)


def command_of(task: str, /, **values: str) -> str:
    """Return the command line of the node that a launch file starts, and its parameters.

    The command is printed by echo instead of run; '' if the launch fails.
    """
    launch = pytest.importorskip('launch_ros') and pytest.importorskip('launch')
    sources = pytest.importorskip('launch.launch_description_sources')
    index = pytest.importorskip('ament_index_python.packages')
    if 'depth_perception' not in index.get_packages_with_prefixes():
        pytest.skip('depth_perception is not in an ament index: build it with colcon, source it')
    lines: list[str] = []
    listen = launch.event_handlers.OnProcessIO(on_stdout=lambda io: lines.append(io.text.decode()))
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(
        launch.LaunchDescription(
            [
                launch.actions.SetLaunchConfiguration('launch-prefix', 'echo'),
                launch.actions.RegisterEventHandler(listen),
                launch.actions.IncludeLaunchDescription(
                    sources.PythonLaunchDescriptionSource(str(LAUNCH / f'{task}.launch.py')),
                    launch_arguments=values.items(),
                ),
            ]
        )
    )
    service.run()
    command = ''.join(lines)
    files = re.findall(r'--params-file (\S+)', command)
    return command + ''.join(Path(path).read_text(encoding='utf-8') for path in files)


@pytest.mark.apt
def test_the_node_gets_what_the_user_says():
    said = command_of(
        'stereo',
        namespace='front',
        left_image='/zed/left',
        right_camera_info='/zed/right_info',
        model='crestereo',
        input_rectified='yes',
        log_level='debug',
        autostart='False',
        use_sim_time='True',
    )
    for words in (
        'lib/depth_perception/stereo_depth_node --ros-args --log-level debug',
        '-r __ns:=/front',
        '-r left/image_rect:=/zed/left',
        '-r right/camera_info:=/zed/right_info',
        'model: crestereo',
        "input_rectified: 'yes'",
        'autostart: false',
        'use_sim_time: true',
    ):
        assert words in said


@pytest.mark.apt
def test_scale_floor_and_calibration_can_be_said_to_the_launch_file():
    said = command_of(
        'mono',
        reference_points='/lidar/points',
        scale_method='ground',
        calibration_file='/maps/my.sigma.yaml',
        camera_height_m='1',  # a parameter of type double all the same
        camera_pitch_deg='-2.5',
        ground_frame='base_footprint',
    )
    for words in (
        '-r reference/points:=/lidar/points',
        'scale.method: ground',
        'uncertainty.calibration_file: /maps/my.sigma.yaml',
        'ground.camera_height_m: 1.0',
        'ground.pitch_deg: -2.5',
        'ground.frame: base_footprint',
    ):
        assert words in said


@pytest.mark.apt
def test_what_the_user_does_not_say_is_left_to_node_and_parameter_file():
    said = command_of('mono')
    assert '-r image:=image' in said
    assert 'camera_info:=' not in said
    assert said.count('model:') == 1  # the one of config/mono.yaml


@pytest.fixture
def rviz(tmp_path, monkeypatch):
    """Put a package called rviz2 into the ament index, whether there is a real one or not."""
    for path in ('share/ament_index/resource_index/packages/rviz2', 'lib/rviz2/rviz2'):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch(mode=0o755)
    prefixes = f'{tmp_path}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}'
    monkeypatch.setenv('AMENT_PREFIX_PATH', prefixes)


@pytest.mark.apt
@pytest.mark.parametrize('task', ['stereo', 'mono'])
def test_rviz_gets_file_frame_and_the_topics_of_the_namespace(task, rviz):
    topic = 'left/image_rect' if task == 'stereo' else 'image'
    argument = {topic.replace('/image_rect', '_image'): '/zed/left'}
    said = command_of(task, use_rviz='true', rviz_frame='zed_optical', namespace='rig', **argument)
    assert f'config/rviz/{task}.rviz -f zed_optical' in said
    assert '-r /points:=points' in said
    assert f'-r /{topic}:=/zed/left' in said
    assert 'rviz2' not in command_of(task)


@pytest.mark.apt
def test_a_parameter_file_that_is_missing_is_an_error():
    assert command_of('stereo', params_file='/no/such.yaml') == ''


@pytest.mark.apt
def test_a_preset_names_inputs_outputs_and_parameters():
    said = command_of('stereo', topics='realsense@robot/front')
    for words in (
        '-r left/image_rect:=/robot/front/infra1/image_rect_raw',
        '-r right/camera_info:=/robot/front/infra2/camera_info',
        '-r depth/image_raw:=/robot/front/depth/image_rect_raw',
        '-r depth/image_raw/compressedDepth:=/robot/front/depth/image_rect_raw/compressedDepth',
        'output_frame_id: front_depth_optical_frame',
        'cloud.organised: false',
    ):
        assert words in said


@pytest.mark.apt
def test_what_the_user_says_of_an_input_goes_before_the_preset():
    said = command_of('stereo', topics='isaac', left_image='/cam/left')
    assert '-r left/image_rect:=/cam/left' in said
    assert 'left/camera_info:=' not in said  # it is beside the image
    assert '-r right/camera_info:=right/camera_info_rect' in said


@pytest.mark.apt
def test_inputs_and_outputs_may_be_named_apart():
    said = command_of('mono', topics='zed', inputs='realsense')
    assert '-r image:=/camera/camera/color/image_raw' in said
    assert '-r points:=/zed/zed_node/point_cloud/cloud_registered' in said
    own = command_of('mono', topics='zed', inputs='own')
    assert '-r image:=image' in own


@pytest.mark.apt
def test_a_preset_that_there_is_not_is_an_error():
    assert command_of('mono', topics='kinect') == ''
    assert command_of('mono', topics='isaac') == ''


@pytest.mark.apt
def test_several_cameras_have_a_process_each():
    said = command_of('multi', cameras=str(LAUNCH.parent / 'config' / 'cameras.yaml'), model='x')
    assert said.count('lib/depth_perception/mono_depth_node') == 2
    assert said.count('lib/depth_perception/stereo_depth_node') == 1
    for words in (
        '-r __ns:=/front',
        '-r image:=/rear_camera/image_rect',
        '-r left/image_rect:=/arm/arm/infra1/image_rect_raw',
        'ground.camera_height_m: 0.8',
        'output_frame_id: arm_depth_optical_frame',
    ):
        assert words in said
    assert said.count('model: x') == 3


@pytest.mark.apt
def test_several_cameras_may_share_a_process():
    said = command_of('multi', cameras='front,rear', task='stereo', shared='true', model='x')
    words = 'multi_depth_node front,rear task=stereo autostart=true model=x --ros-args'
    assert words in said
    assert '__node' not in said  # it would rename the nodes of all cameras
    assert '__ns' not in said


@pytest.mark.apt
def test_cameras_that_cannot_be_read_are_an_error():
    assert command_of('multi', cameras='/no/such.yaml') == ''
    assert command_of('multi', cameras='a b') == ''
