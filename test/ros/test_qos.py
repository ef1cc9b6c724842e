"""What inputs ask for, what outputs offer, and why two ends do not match."""

from depth_perception.errors import SettingsError
from depth_perception.ros.qos import InputQoS, mismatch, output_qos, same_request
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

pytestmark = pytest.mark.ros
RELIABLE = QoSProfile(depth=9, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=9, reliability=ReliabilityPolicy.BEST_EFFORT)
HELD = QoSProfile(
    depth=9,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
OVERRIDE = 'qos_overrides./a/image.subscription.'


@pytest.fixture
def make_qos(context):
    nodes = []

    def make(overrides=None, **options):
        given = [Parameter(OVERRIDE + k, value=v) for k, v in (overrides or {}).items()]
        nodes.append(Node('n', context=context, parameter_overrides=given))
        return InputQoS(nodes[-1], '/a/image', 2, **options)

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize(
    ('offered', 'wanted'),
    [
        ([], ReliabilityPolicy.RELIABLE),
        ([RELIABLE], ReliabilityPolicy.RELIABLE),
        ([BEST_EFFORT], ReliabilityPolicy.BEST_EFFORT),
        ([RELIABLE, BEST_EFFORT], ReliabilityPolicy.BEST_EFFORT),
    ],
)
def test_reliability_follows_the_publishers(make_qos, offered, wanted):
    profile = make_qos().profile_for(offered)
    assert profile.reliability == wanted
    assert (profile.depth, profile.history) == (2, HistoryPolicy.KEEP_LAST)
    assert profile.durability == DurabilityPolicy.VOLATILE


def test_only_a_latched_input_asks_for_held_messages(make_qos):
    volatile, held = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
    assert make_qos().profile_for([HELD]).durability == volatile
    latched = make_qos(latched=True)
    assert latched.profile_for([HELD]).durability == held
    assert latched.profile_for([HELD, RELIABLE]).durability == volatile
    assert latched.profile_for([]).durability == volatile


def test_overrides_win_over_adaption(make_qos):
    chosen = make_qos({'reliability': 'reliable', 'depth': 7, 'durability': 'transient_local'})
    profile = chosen.profile_for([BEST_EFFORT])
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert profile.depth == 7


@pytest.mark.parametrize(
    ('policy', 'value', 'reason'),
    [
        ('reliability', 'relaible', 'is not one of adapt, reliable, best_effort'),
        ('history', 'keep', 'is not one of keep_last'),
        ('depth', 0, 'wants at least 1, got 0'),
        ('depth', 'deep', 'depth: wants int; .*deep'),
    ],
)
def test_wrong_overrides_are_explained(make_qos, policy, value, reason):
    with pytest.raises(SettingsError, match=reason):
        make_qos({policy: value})


def test_mismatch_names_the_policy():
    assert mismatch(RELIABLE, BEST_EFFORT) == ''
    assert 'Best effort publisher and reliable subscription' in mismatch(BEST_EFFORT, RELIABLE)
    assert 'transient local subscription' in mismatch(RELIABLE, HELD)


def test_only_reliability_and_durability_make_a_new_request():
    assert same_request(RELIABLE, QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
    assert not same_request(RELIABLE, BEST_EFFORT)
    assert not same_request(RELIABLE, HELD)


def test_outputs_offer_reliable_volatile_keep_last():
    offered = output_qos()
    assert offered.reliability == ReliabilityPolicy.RELIABLE
    assert offered.durability == DurabilityPolicy.VOLATILE
    assert (offered.history, offered.depth) == (HistoryPolicy.KEEP_LAST, 1)


def test_output_overrides_reach_the_publisher(system):
    name = 'qos_overrides./points.publisher.reliability'
    system.start(StereoDepthNode, **{name: 'best_effort'})
    node = system.peer.node
    infos = system.peer.until(lambda: node.get_publishers_info_by_topic('/points'), 'publisher')
    assert infos[0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize(('policy', 'value'), [('depth', 'deep'), ('reliability', 'relaible')])
def test_a_wrong_override_of_an_output_is_explained(system, policy, value):
    name = f'qos_overrides./points.publisher.{policy}'
    node = system.start(StereoDepthNode, **{name: value})
    said = system.status().until_message('configure failed: qos_overrides of points: ')
    assert value in said.message
    assert not node.get_publishers_info_by_topic('/depth/image_rect')


def test_an_incompatible_subscriber_is_named(system):
    system.start(StereoDepthNode, diagnostics_period_s=0.1)
    system.peer.listen('/points', PointCloud2, HELD)
    said = system.status().until_message('incompatible QoS')
    assert 'points: subscriber peer does not match' in said.message
    assert 'transient local' in said.message


def test_an_incompatible_publisher_is_named(system):
    name = 'qos_overrides./left/image_rect.subscription.reliability'
    system.start(StereoDepthNode, diagnostics_period_s=0.1, lazy=False, **{name: 'reliable'})
    system.peer.advertise('/left/image_rect', Image, BEST_EFFORT)
    status = system.status()
    said = status.until_message('incompatible QoS')
    assert 'left/image_rect: publisher peer does not match' in said.message
    assert 'Best effort publisher and reliable subscription' in said.message
    assert status.values['qos mismatches'] == '1'


@pytest.mark.parametrize('qos', [BEST_EFFORT, RELIABLE], ids=['best_effort', 'reliable'])
def test_publishers_of_either_kind_are_served(system, scene, qos):
    system.start(StereoDepthNode, sgbm__num_disparities=32, threads=1, max_input_age_s=50.0)
    heard = system.peer.listen('/depth/image_rect', Image)
    for topic, message in scene.stereo().items():
        system.peer.advertise(topic, type(message), qos)
    status = system.status()
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
    wanted = 'best_effort' if qos is BEST_EFFORT else 'reliable'
    system.peer.until(
        lambda: status.values and status.values['input left/image_rect'].endswith(wanted),
        f'an input that is {wanted}',
    )
