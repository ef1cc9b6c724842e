"""The demo: its parts without ROS, and the whole of it with real nodes."""

import argparse
import json
import os
from pathlib import Path
import sys
import zipfile

from depth_perception.cli import demo, demo_data, demo_run, processes
from depth_perception.cli.demo_report import Findings, html_of
from depth_perception.cli.demo_run import node_arguments, Plan, player_arguments
from depth_perception.cli.main import main
from depth_perception.cli.processes import middleware_environment, Program
from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import DepthPerceptionError, RecordingError
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.pictures import write_image
from depth_perception.evaluation.playback import Given, Published, Streams
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.evaluation.scenes import GroundPose
import numpy as np
import pytest

STREAMS = Streams('/l/image', '/l/camera_info', '/r/image', '/r/camera_info')


def test_node_arguments():
    plan = Plan(Path('bag'), STREAMS, GroundPose(1.5, 10.0, -2.0), 1.0, Path('scratch'))
    assert plan.nodes == ['stereo', 'mono']
    stereo, mono = (' '.join(node_arguments(plan, name)) for name in plan.nodes)
    assert '-r __ns:=/stereo' in stereo
    assert '-r right/camera_info:=/r/camera_info' in stereo
    assert '-r image:=/l/image -r camera_info:=/l/camera_info' in mono
    assert '-p ground.camera_height_m:=1.5' in mono
    assert '-p ground.roll_deg:=-2.0' in mono
    assert '--subscribers /l/image=2 /l/camera_info=2 /r/image=1 /r/camera_info=1' in ' '.join(
        player_arguments(plan)
    )
    one = Plan(Path('bag'), Streams('/i', '/c'), None, 1.0, Path('scratch'))
    assert one.nodes == []


def test_model_of_the_stereo_node_is_chosen(tmp_path, capsys):
    plan = Plan(Path('bag'), STREAMS, GroundPose(1.5, 10.0, -2.0), 1.0, Path('scratch'), 'net')
    assert '-p model:=net' in ' '.join(node_arguments(plan, 'stereo'))
    assert 'model:=' not in ' '.join(node_arguments(plan, 'mono'))
    assert main(['demo', '--model', 'no_such', '--out', str(tmp_path)]) == 2
    assert 'no_such' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('model', 'told'),
    [
        ('sgbm', 'Semi-global matching with a left-right check;'),
        ('depth-perception-stereo', 'Semi-global matching and our small network together:'),
        ('window-stereo', 'Depth by the model window-stereo, in place of the default.'),
    ],
)
def test_the_page_says_what_made_the_depth(model, told):
    depth = np.full((6, 8), 2.0, np.float32)
    camera = PinholeCamera(8, 6, 10.0, 10.0, 3.5, 2.5)
    given = Given(np.zeros((6, 8, 3), np.uint8), camera, None, None, 3, 5.0)
    figures = {'valid': 1.0}
    published = Published(depth, 0.1 * depth, 3, 5.0, [10.0, 20.0, 30.0], figures)
    found = Findings(
        'a wall', 'a test', given, {'stereo': published}, {'stereo': {'model': model}}
    )
    text = html_of(found)
    assert told in text
    assert text.count('Depth by the model') == (model == 'window-stereo')


def test_middleware_stays_on_this_machine_with_room_for_images(monkeypatch):
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    profile = {'FASTDDS_DEFAULT_PROFILES_FILE': 'room.xml'}
    monkeypatch.setattr(processes, 'profile_environment', lambda: profile)
    variables = middleware_environment()
    assert variables['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert variables['ROS_DOMAIN_ID'] == '42'
    assert variables['FASTDDS_DEFAULT_PROFILES_FILE'] == 'room.xml'


def test_a_program_that_fails_says_what_it_printed(tmp_path):
    with Program('no_such_module', [], {}, tmp_path / 'log') as program:
        assert program.wait(90.0)
        with pytest.raises(DepthPerceptionError, match='No module named no_such_module'):
            program.check()


def test_a_program_is_ended(tmp_path):
    words = ['-b', '127.0.0.1', '0']
    with Program('http.server', words, os.environ, tmp_path / 'log') as program:
        assert not program.wait(0.5)
        assert program.running
    assert not program.running


def fake_pip(monkeypatch, write):
    """Let pip be replaced by a function of the folder that it downloads into."""

    def run(command, **_):
        write(Path(command[command.index('--dest') + 1]))
        return argparse.Namespace(returncode=0, stderr='')

    monkeypatch.setattr(demo_data.subprocess, 'run', run)


def test_photographs_of_another_content_are_refused(tmp_path, monkeypatch):
    def write(folder):
        with zipfile.ZipFile(folder / 'a.whl', 'w') as archive:
            for name in demo_data.MOTORCYCLE_FILES:
                archive.writestr(f'skimage/data/{name}', b'something else')

    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    fake_pip(monkeypatch, write)
    with pytest.raises(RecordingError, match='is not the one expected'):
        demo_data.motorcycle_folder()
    assert list((tmp_path / 'demo').iterdir()) == []


def test_without_network_a_scene_is_rendered_and_said_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    fake_pip(monkeypatch, lambda _: None)
    remarks = []
    arguments = argparse.Namespace(left=None)
    scene = demo._scene(arguments, demo.Progress(), remarks)
    assert scene.name == 'Rendered boxes'
    assert 'could not be fetched' in remarks[0]
    assert 'rendering a scene instead' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--left', 'a.png'], 'needs both --left and --right'),
        (['--bag', 'x', '--left', 'a.png', '--right', 'b.png'], 'either --bag or --left'),
        (['--left', 'a.png', '--right', 'b.png'], 'cannot read a.png'),
        (['--bag', 'none'], 'not a rosbag2'),
    ],
)
def test_what_cannot_be_played_is_named(tmp_path, capsys, words, said):
    assert main(['demo', '--out', str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_cloud_that_did_not_come_in_time_is_left_out(tmp_path):
    points = np.zeros((3, 4), np.float32)
    with BagWriter(tmp_path / 'clouds') as bag:
        bag.write_points('/stereo/points', 10**9, 'eye', points)
        kind = 'sensor_msgs/msg/PointCloud2'
        bag._writer.add_connection('/mono/points', kind, typestore=bag._store)
    fact = demo._cloud_fact(tmp_path)
    assert fact == {'clouds': '/stereo/points: 3 x 1 points (x, y, z, intensity)'}
    assert demo._cloud_fact(tmp_path / 'nowhere') == {}


@pytest.mark.ros
@pytest.mark.slow
def test_whole_demo_on_a_pair_of_ones_own(tmp_path, monkeypatch):
    pytest.importorskip('rclpy')
    scene = rendered_scene()
    write_image(tmp_path / 'left.png', scene.left)
    write_image(tmp_path / 'right.png', scene.right)
    monkeypatch.setattr(demo, 'FRAMES', 8)
    # The machine may be busy, and what is late on it is not wrong.
    monkeypatch.setattr(processes, '_GRACE_S', 60.0)
    monkeypatch.setattr(demo_run, 'DISCOVERY_S', 90.0)
    monkeypatch.setattr(demo_run, 'LAST_FRAMES_S', 4.0)
    monkeypatch.setitem(demo_run.COMMON_PARAMETERS, 'max_input_age_s', 60.0)
    out = tmp_path / 'out'
    code = main(
        ['demo', '--left', str(tmp_path / 'left.png'), '--right', str(tmp_path / 'right.png'),
         '--fx', '520', '--cy', '219.5', '--baseline', '0.12', '--camera-height-m', '1',
         '--out', str(out)]
    )  # fmt: skip
    assert code == 0
    summary = json.loads((out / 'summary.json').read_text())
    for node in ('stereo', 'mono'):
        assert summary['nodes'][node]['frames'] >= 2
        assert 0 < summary['nodes'][node]['latency_ms']['p50'] < 60_000
    assert summary['nodes']['stereo']['valid'] > 0.7
    assert summary['ground_truth'] is False
    assert sorted(path.name for path in out.iterdir()) == [
        'cloud.ply', 'depth.png', 'index.html', 'overview.jpg', 'summary.json',
    ]  # fmt: skip
    assert sys.executable not in (out / 'index.html').read_text()
