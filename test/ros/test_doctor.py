"""The doctor on live graphs: every planted fault is found where it is, and nothing else."""

import json
import time
from types import SimpleNamespace

from depth_perception.cli.main import main
from depth_perception.core.transforms import TransformTree
from depth_perception.doctor.facts import Placed
from depth_perception.doctor.judge import judge
from depth_perception.ros.doctor import look
from depth_perception.ros.doctor_graph import guessed_cameras, Plan
from depth_perception.ros.doctor_look import frames_facts
from depth_perception.ros.doctor_probe import header_of
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from planted_faults import BEST_EFFORT, Camera, header, lower_right, MONO, PLANTED, Robot
import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
PLAN = {'seconds': 1.5, 'patience_s': 3.0}
SIM_S = 1000.0


def told(found, name):
    """Return the errors and warnings of subjects whose name starts with `name`."""
    return [one for one in found if one.subject.startswith(name) and one.severity != 'note']


def ids(found, name):
    return {one.id for one in told(found, name)}


@pytest.fixture(scope='module')
def cameras(domain_id):
    """Return the findings on cameras without a depth node, all of one look."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain_id)
    robot = Robot(domain_id)
    for camera, _ in PLANTED:
        robot.add(camera)
    robot.start()
    facts = look(Plan(**PLAN), context)
    robot.close()
    context.try_shutdown()
    return judge(facts)


@pytest.mark.parametrize(('camera', 'faults'), PLANTED, ids=[c.name for c, _ in PLANTED])
def test_a_fault_planted_on_a_camera_is_found_and_no_other(cameras, camera, faults):
    assert ids(cameras, f'/{camera.name}/') == faults, told(cameras, f'/{camera.name}/')


QUICK = {'threads': 1, 'max_input_age_s': 20.0, 'diagnostics_period_s': 0.2}
NODES = {  # namespace -> (class, camera, parameters, findings)
    'n_well': (StereoDepthNode, 'c_well', {}, set()),
    'n_mono': (MonoDepthNode, 'c_mono', {'ground__camera_height_m': 1.0}, set()),
    'n_asleep': (StereoDepthNode, 'c_well', {'autostart': False}, {'node.not_active'}),
    'n_broken': (StereoDepthNode, 'c_well', {'model': 'nowhere'}, {'node.transition_failed'}),
    'n_lost': (StereoDepthNode, 'c_nowhere', {}, {'topic.missing'}),
    'n_transport': (
        StereoDepthNode, 'c_well', {'image_transport': 'compressed'}, {'topic.missing'}
    ),
    'n_qos': (
        StereoDepthNode,
        'c_effort',
        {'qos_overrides./c_effort/left/image_rect.subscription.reliability': 'reliable'},
        {'topic.qos'},
    ),
    'n_large': (StereoDepthNode, 'c_well', {'max_image_side_px': 128}, {'image.too_large'}),
    'n_far': (
        StereoDepthNode, 'c_well', {'max_depth_m': 100.0}, {'param.depth_range', 'output.qos'}
    ),
    'n_pairing': (
        StereoDepthNode,
        'c_well',
        {'approximate_sync': True, 'approximate_sync_tolerance_seconds': 0.4},
        {'param.sync_tolerance'},
    ),
    'n_mixed': (StereoDepthNode, 'c_well', {'use_sim_time': True}, {'clock.mixed'}),
    'n_unused': (StereoDepthNode, 'c_sim', {}, {'clock.unused'}),
    'n_unscaled': (MonoDepthNode, 'c_mono', {}, {'model.not_metric'}),
}  # fmt: skip


@pytest.fixture(scope='module')
def nodes(domain_id, new_system):
    """Return the findings on depth nodes that all run at once, of one look."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain_id)
    robot = Robot(domain_id)
    started_s = time.monotonic()
    sim_ns = lambda: round((SIM_S + time.monotonic() - started_s) * 1e9)  # noqa: E731
    robot.add(Camera('c_well'))
    robot.add(Camera('c_mono', MONO))
    robot.add(Camera('c_effort', qos=BEST_EFFORT))
    robot.add(Camera('c_sim', clock_ns=sim_ns))
    clock = robot.publisher(Clock, '/clock', 1)
    robot.each = lambda: clock.publish(Clock(clock=header(sim_ns(), '').stamp))
    twins = [rclpy.create_node('twin', context=context) for _ in range(2)]
    system = new_system(context)
    held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    system.peer.listen('/n_far/depth/image_rect', Image, held)
    robot.start()
    for namespace, (cls, camera, parameters, _) in NODES.items():
        topics = ('image',) if cls is MonoDepthNode else ('left/image_rect', 'right/image_rect')
        remaps = [f'__ns:=/{namespace}']
        for topic in topics:
            source = 'image_rect' if topic == 'image' else topic
            remaps.append(f'{topic}:=/{camera}/{source}')
        system.start(cls, remaps=remaps, **{**QUICK, **parameters})
    facts = look(Plan(**PLAN), context)
    system.close()
    for twin in twins:
        twin.destroy_node()
    robot.close()
    context.try_shutdown()
    return judge(facts)


@pytest.mark.parametrize('namespace', NODES)
def test_a_fault_planted_on_a_node_is_found_and_no_other(nodes, namespace):
    faults = NODES[namespace][-1]
    assert ids(nodes, f'/{namespace}/') == faults, told(nodes, f'/{namespace}/')


def test_two_nodes_of_one_name_are_found(nodes):
    assert [
        (one.id, one.where) for one in nodes if not one.subject and one.severity != 'note'
    ] == [('node.duplicate', '/twin')]


@pytest.fixture
def robot(domain_id, monkeypatch):
    """Return a robot on the graph that a program started from here sees too."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain_id))
    robot = Robot(domain_id)
    yield robot
    robot.close()


def test_the_program_judges_a_live_camera(robot, capsys, tmp_path):
    robot.add(Camera('c_well'))
    robot.add(Camera('f_rows', change=lower_right))
    robot.start()
    quick = ['--seconds', '1', '--patience', '10']
    assert main(['doctor', '--left', '/c_well/left/image_rect', *quick]) == 0
    told = capsys.readouterr().out
    assert 'healthy: 0 errors, 0 warnings' in told
    assert '/c_well/right/image_rect' in told  # found by the name of the left one
    kept = tmp_path / 'facts.json'
    named = ['--left', '/f_rows/left/image_rect', '--right', '/f_rows/right/image_rect']
    assert main(['doctor', *named, *quick, '--json', '--save', str(kept)]) == 1
    report = json.loads(capsys.readouterr().out)
    (found,) = (one for one in report['findings'] if one['severity'] != 'note')
    assert found['id'] == 'pair.vertical'
    assert 'px lower in the right image' in found['seen']
    assert float(found['seen'].split()[2]) == pytest.approx(3.0, abs=0.1)
    assert main(['doctor', '--from', str(kept), '--json']) == 1
    assert json.loads(capsys.readouterr().out) == report


def test_an_empty_graph_has_a_code_of_its_own(monkeypatch, domain_id, capsys):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain_id + 100))
    assert main(['doctor', '--seconds', '0.1', '--patience', '1']) == 3
    assert 'ROS_DOMAIN_ID' in capsys.readouterr().out


def test_the_header_is_read_from_the_bytes():
    message = Image(header=header(1_700_000_000_123_456_789, 'left_optical'))
    assert header_of(serialize_message(message)) == (1_700_000_000_123_456_789, 'left_optical')
    assert header_of(serialize_message(Image())) == (0, '')
    assert header_of(b'\0\1\0\0' + b'\xff' * 20)[1] == '\ufffd' * 8  # a length that lies


def test_cameras_are_guessed_by_their_names():
    image, compressed = ['sensor_msgs/msg/Image'], ['sensor_msgs/msg/CompressedImage']
    topics = {
        '/rig/left/image_raw': image,
        '/rig/left/image_rect': image,
        '/rig/left/image_rect/compressed': compressed,
        '/rig/right/image_rect': image,
        '/zed/right_camera/image_rect': image,  # its left one is missing
        '/web/image_raw/compressed': compressed,
        '/rig/depth/image_rect': image,
        '/scan': ['sensor_msgs/msg/LaserScan'],
    }
    guessed = {name: [topic for _, topic, _ in w] for name, w in guessed_cameras(topics, 'any')}
    assert guessed['/rig/left/image_rect'] == [
        '/rig/left/image_rect',
        '/rig/right/image_rect',
        '/rig/left/camera_info',
        '/rig/right/camera_info',
    ]
    assert guessed['/zed/left_camera/image_rect'][1] == '/zed/right_camera/image_rect'
    assert guessed['/web/image_raw/compressed'] == [
        '/web/image_raw/compressed',
        '/web/camera_info',
    ]
    assert len(guessed) == 3
    assert [name for name, _ in guessed_cameras(topics, 'mono')] == [
        '/rig/left/image_rect',
        '/rig/right/image_rect',
        '/zed/right_camera/image_rect',
        '/web/image_raw/compressed',
    ]


def transform(parent, child, quaternion):
    x, y, z, w = quaternion
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=5, nanosec=0)),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=0.1, y=0.0, z=0.4),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
        ),
    )


def test_tf_places_the_cameras():
    """tf2_msgs is on no PyPI, so the messages are stand-ins with the same fields."""
    tree = TransformTree()
    same, optical = (0.0, 0.0, 0.0, 1.0), (-0.5, 0.5, -0.5, 0.5)
    static = [
        transform('base_link', 'camera_link', same),
        transform('camera_link', 'camera_optical', optical),
        transform('map', 'lost_optical', optical),
    ]
    tree.add(SimpleNamespace(transforms=static), static=True)
    cameras = {'camera_link': 9, 'camera_optical': 9, 'lost_optical': 9, 'unheard_of': 9}
    seen = frames_facts(tree, '', 3, cameras, 'base_link')
    assert seen.placed['camera_link'] == Placed('base_link', base=True, down=1.0)
    assert seen.placed['camera_optical'].down == pytest.approx(0.0, abs=1e-9)
    assert seen.placed['lost_optical'] == Placed('map')
    assert seen.placed['unheard_of'] == Placed()
    assert 'map' in seen.known
    assert frames_facts(tree, 'no tf2_msgs', 0, cameras, 'base_link').lacking == 'no tf2_msgs'
