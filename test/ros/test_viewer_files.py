"""RViz and Foxglove files ask for topics that the nodes offer, as the types and QoS they offer."""

from collections.abc import Iterator
import json
from pathlib import Path
import re

from depth_perception.core.cloud import CLOUD_FIELDS
from depth_perception.core.nav_points import NAV_FIELDS
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.qos import mismatch
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
import yaml

pytestmark = pytest.mark.ros

CONFIG = Path(__file__).resolve().parents[2] / 'config'
NODES = {'stereo': StereoDepthNode, 'mono': MonoDepthNode}
RVIZ_FILES = ('stereo', 'mono', 'nav2')
TYPES = {
    'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
    'rviz_default_plugins/PointCloud2': 'sensor_msgs/msg/PointCloud2',
}
# Names of the properties that the displays read, from the sources of ros2/rviz at f7112b1.
TOPIC = {'Value', 'Depth', 'History Policy', 'Reliability Policy', 'Durability Policy'}
OF_ALL = {'Class', 'Name', 'Enabled', 'Value'}
PROPERTIES = {
    'Grid': {
        'Alpha', 'Cell Size', 'Color', 'Plane', 'Plane Cell Count', 'Normal Cell Count',
        'Reference Frame', 'Line Style', 'Offset',
    },
    'TF': {
        'Frame Timeout', 'Frames', 'Marker Scale', 'Show Arrows', 'Show Axes', 'Show Names',
        'Update Interval',
    },
    'RobotModel': {
        'Description Source', 'Description Topic', 'Visual Enabled', 'Collision Enabled', 'Alpha',
        'TF Prefix', 'Update Interval',
    },
    'Map': {'Topic', 'Update Topic', 'Alpha', 'Color Scheme', 'Draw Behind', 'Use Timestamp'},
    'Polygon': {'Topic', 'Alpha', 'Color'},
    'Path': {'Topic', 'Alpha', 'Color', 'Line Style', 'Line Width', 'Buffer Length'},
    'Image': {'Topic', 'Normalize Range', 'Min Value', 'Max Value', 'Median window'},
    'PointCloud2': {
        'Topic', 'Alpha', 'Style', 'Size (Pixels)', 'Size (m)', 'Decay Time', 'Selectable',
        'Position Transformer', 'Color Transformer', 'Channel Name', 'Use rainbow',
        'Invert Rainbow', 'Autocompute Intensity Bounds', 'Min Intensity', 'Max Intensity',
        'Color',
    },
}  # fmt: skip
# What Nav2 and the robot publish, by their own documentation, and how RViz is to ask for it.
OF_OTHERS = {
    '/map': ('rviz_default_plugins/Map', 'transient_local'),
    '/global_costmap/costmap': ('rviz_default_plugins/Map', 'transient_local'),
    '/local_costmap/costmap': ('rviz_default_plugins/Map', 'transient_local'),
    '/local_costmap/published_footprint': ('rviz_default_plugins/Polygon', 'volatile'),
    '/plan': ('rviz_default_plugins/Path', 'volatile'),
    '/robot_description': ('rviz_default_plugins/RobotModel', 'transient_local'),
}


def displays(name) -> Iterator[tuple[dict, dict]]:
    """Yield every display that has a topic, and that topic."""
    document = yaml.safe_load((CONFIG / 'rviz' / f'{name}.rviz').read_text(encoding='utf-8'))
    for display in document['Visualization Manager']['Displays']:
        for key in ('Topic', 'Description Topic'):
            if key in display:
                yield display, display[key]


def asked(topic):
    """Return the QoS that RViz asks for, by the words of its qos_profile_property.cpp."""
    policy = lambda name: topic[f'{name} Policy'].upper().replace(' ', '_')  # noqa: E731
    return QoSProfile(
        depth=topic['Depth'],
        history=HistoryPolicy[policy('History')],
        reliability=ReliabilityPolicy[policy('Reliability')],
        durability=DurabilityPolicy[policy('Durability')],
    )


@pytest.fixture
def offers(system):
    """Return a function: node class -> topic -> (type, QoS), inputs with a driver's QoS."""

    def of(node_class):
        node = system.start(node_class, model='auto', ground__camera_height_m=1.0)
        active = lambda: node.state == 'active'  # noqa: E731
        system.peer.until(active, 'active node')
        found = {}
        for topic, kinds in node.get_publisher_names_and_types_by_node(node.get_name(), '/'):
            ends = [
                end for end in node.get_publishers_info_by_topic(topic)
                if end.node_name == node.get_name()
            ]  # fmt: skip
            found[topic] = kinds[0], ends[0].qos_profile
        sensor = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        for name in node.image_names:
            found[f'/{name}'] = 'sensor_msgs/msg/Image', sensor
            found[f'/{name.rpartition("/")[0]}/camera_info'.replace('//', '/')] = (
                'sensor_msgs/msg/CameraInfo', sensor,
            )  # fmt: skip
        return found

    return of


def check_rviz(name, offered):
    """Check each display of a file against what is offered."""
    shown = set()
    for display, topic in displays(name):
        path = topic['Value']
        shown.add(path)
        if path in OF_OTHERS:
            kind, durability = OF_OTHERS[path]
            assert display['Class'] == kind
            assert asked(topic).durability == DurabilityPolicy[durability.upper()]
            continue
        kind, qos = offered[path]
        assert kind == TYPES[display['Class']]
        assert mismatch(qos, asked(topic)) == ''
    common = {'/points', '/depth/color', '/uncertainty/color'}
    assert shown >= common | ({'/points_nav', '/points_clear'} if name == 'nav2' else set())


@pytest.mark.parametrize('name', RVIZ_FILES)
def test_rviz_knows_every_property(name):
    """RViz ignores a property that it does not know without a word."""
    document = yaml.safe_load((CONFIG / 'rviz' / f'{name}.rviz').read_text(encoding='utf-8'))
    manager = document['Visualization Manager']
    assert set(manager['Global Options']) == {'Background Color', 'Fixed Frame', 'Frame Rate'}
    for display in manager['Displays']:
        package, _, kind = display['Class'].partition('/')
        assert package == 'rviz_default_plugins'
        assert set(display) - OF_ALL <= PROPERTIES[kind]
        assert display.get('Color Transformer', 'RGB8') in {'RGB8', 'Intensity', 'FlatColor'}
        for key in {'Topic', 'Update Topic', 'Description Topic'} & set(display):
            assert set(display[key]) == TOPIC


@pytest.mark.parametrize('name', RVIZ_FILES)
def test_rviz_colours_points_by_a_field_they_have_within_given_bounds(name):
    """RViz computes bounds with std::min, which one NaN point spoils."""
    by_sigma = 0
    for display, topic in displays(name):
        if display.get('Color Transformer') != 'Intensity':
            continue
        fields = NAV_FIELDS if 'nav' in topic['Value'] else [name for name, _ in CLOUD_FIELDS]
        assert display['Channel Name'] in fields
        assert display['Autocompute Intensity Bounds'] is False
        assert 0.0 == display['Min Intensity'] < display['Max Intensity']
        by_sigma += display['Channel Name'] == 'uncertainty'
    assert by_sigma == 1


def layout(task):
    return json.loads((CONFIG / 'foxglove' / f'{task}.json').read_text(encoding='utf-8'))


def panels_of(node):
    """Yield the panels of a mosaic, after checking its nodes."""
    if isinstance(node, str):
        yield node
        return
    assert node['direction'] in ('row', 'column')
    assert 0 < node['splitPercentage'] < 100
    yield from panels_of(node['first'])
    yield from panels_of(node['second'])


def check_foxglove(task, offered):
    """Check each panel of a layout against what is offered."""
    document = layout(task)
    configs = document['configById']
    assert sorted(panels_of(document['layout'])) == sorted(configs)
    kinds = {name.partition('!')[0] for name in configs}
    assert kinds == {'Image', '3D', 'Plot', 'DiagnosticSummary', 'DiagnosticStatusPanel'}
    for config in configs.values():
        image = config.get('imageMode', {})
        if image:
            assert offered[image['imageTopic']][0] == image['imageSchemaName']
            assert offered[image['calibrationTopic']][0] == 'sensor_msgs/msg/CameraInfo'
            assert (
                image['calibrationTopic'].rpartition('/')[0]
                == (image['imageTopic'].rpartition('/')[0])
            )
        for topic in config.get('topics', {}):
            assert topic in offered
        if 'topicToRender' in config:
            assert offered[config['topicToRender']][0] == 'diagnostic_msgs/msg/DiagnosticArray'
    points = configs['3D!points']['topics']['/points']
    assert points['colorField'] in [name for name, _ in CLOUD_FIELDS]


@pytest.mark.parametrize('task', NODES)
def test_rviz_and_foxglove_ask_for_what_is_offered(task, offers):
    offered = offers(NODES[task])
    for name in RVIZ_FILES:
        if name == task or (name, task) == ('nav2', 'stereo'):
            check_rviz(name, offered)
    check_foxglove(task, offered)


@pytest.mark.parametrize('task', NODES)
def test_foxglove_plots_numbers_that_are_in_the_status(task, system, scene):
    """A plot takes a text by JavaScript's unary plus: one number, nothing beside it."""
    paths = [
        path['value'] for config in layout(task)['configById'].values()
        for path in config.get('paths', [])
    ]  # fmt: skip
    assert len(paths) == 5
    found = [
        re.fullmatch(r'(/\w+/status)\.values\[:\]\{key=="([^"]+)"\}\.value', p) for p in paths
    ]
    assert {match[1] for match in found} == {f'/{task}_depth_node/status'}
    if task == 'mono':
        return  # the same keys
    system.start(
        StereoDepthNode, sgbm__num_disparities=32, threads=1, max_input_age_s=60.0,
        diagnostics_period_s=0.1,
    )  # fmt: skip
    system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    send = lambda: system.send(scene.stereo())  # noqa: E731
    keys = [match[2] for match in found]
    system.peer.until(lambda: set(keys) <= status.values.keys(), 'all figures', each=send)
    for key in keys:
        assert float(status.values[key]) >= 0.0
