"""From numbers to findings, without ROS: each fault gives its own finding, health gives none."""

from dataclasses import replace

from depth_perception.doctor.facts import Endpoint, Frames, Output, Picture, Placed, Sight
from depth_perception.doctor.findings import CATALOGUE
from depth_perception.doctor.judge import exit_code, judge, report
from depth_perception.doctor.judge_times import Wishes
import healthy_facts as h
import numpy as np
import pytest

LEFT, RIGHT = 'left image', 'right image'
BEST_EFFORT = Endpoint('/driver', h.IMAGE, 'best_effort')
LATCHING = Endpoint('/rviz', h.IMAGE, 'reliable', 'transient_local')


def shifted(seconds):
    return tuple(stamp + round(seconds * 1e9) for stamp in h.STAMPS)


def pair_without_node():
    return replace(h.subject(), node=None, name='/cam/left/image_rect')


def sim(use_sim_time, ages_s, sim_ages_s):
    one = h.subject(of_node=h.node(parameters={'use_sim_time': use_sim_time}))
    streams = tuple(
        replace(s, ages_s=(ages_s,) * 30, sim_ages_s=(sim_ages_s,) * 30) for s in one.streams
    )
    return h.of_subject(replace(one, streams=streams), clock_publishers=('/sim',))


def jittered(pattern):
    """Return facts whose images come at these multiples of 100 ms."""
    stamps = tuple(h.STAMPS[0] + int(1e8 * x) for x in np.cumsum(np.tile(pattern, 10)))
    one = h.subject()
    streams = tuple(
        replace(s, stamps_ns=stamps, arrivals_s=tuple(float(i) for i in range(len(stamps))))
        for s in one.streams
    )
    return h.of_subject(replace(one, streams=streams))


def warns(message, **changes):
    return h.with_node(level=1, message=message, **changes)


def moved(one, role, **changes):
    streams = tuple(replace(s, **changes) if s.role == role else s for s in one.streams)
    return replace(one, streams=streams)


def both_infos(left, right=None):
    one = moved(h.subject(), 'left image info', info=left)
    return h.of_subject(moved(one, 'right image info', info=right or left))


def raw_pair(input_rectified='auto'):
    """Return a pair of raw images, which the node rectifies unless told that they are."""
    one = h.subject(of_node=h.node(parameters={'input_rectified': input_rectified}))
    for side, baseline_m in (('left', 0.0), ('right', 0.12)):
        one = moved(one, f'{side} image', topic=f'/cam/{side}/image_raw')
        distorted = h.info(baseline_m, d=(-0.3, 0.1, 0.0, 0.0, 0.0))
        one = moved(one, f'{side} image info', info=distorted)
    return one


def smaller_right():
    one = moved(h.subject(), RIGHT, picture=Picture(320, 240, 'mono8', contrast=40.0))
    return moved(one, 'right image info', info=h.info(0.12, width=320, height=240))


def unsynchronised():
    one = moved(h.subject(), RIGHT, stamps_ns=shifted(-0.007))
    return moved(one, 'right image info', stamps_ns=shifted(-0.007))


def two_frames():
    one = moved(h.subject(), RIGHT, frame_ids=('right_optical',))
    return moved(one, 'right image info', frame_ids=('right_optical',))


CASES = {
    'graph.empty': [h.facts(nodes=(), topics=0, subjects=())],
    'graph.no_camera': [h.facts(subjects=())],
    'machine.busy': [h.facts(busy=0.5)],
    'node.missing': [h.facts(subjects=(), missing_nodes=('/stereo',))],
    'node.none': [h.of_subject(pair_without_node())],
    'node.duplicate': [h.facts(nodes=('/driver', '/driver', h.NODE))],
    'node.mute': [h.with_node(answers=False, statuses=0, state='', level=-1, message='')],
    'node.transition_failed': [
        h.with_node(state='unconfigured', level=2, message='configure failed: no such file')
    ],
    'node.not_active': [
        h.with_node(state='inactive', message='inactive'),
        h.with_node(state='unconfigured', message='unconfigured'),
    ],
    'node.waiting': [warns('waiting for left/image_rect (3 of 4 inputs arrive)')],
    'node.drops': [warns('frames dropped: too_old: image is 0.7 s old')],
    'node.warns': [warns('something new')],
    'node.no_output': [h.with_node(heard=0, heard_ages_s=())],
    'node.idle': [h.with_node(woken=False, heard=0, message='idle: no output has a subscriber')],
    'output.qos': [
        h.with_node(outputs=(Output('/depth/image_rect', Endpoint(h.NODE, h.IMAGE), (LATCHING,)),))
    ],
    'model.not_metric': [
        h.with_node(level=2, message='not metric, nothing is published: no scale', heard=0)
    ],
    'model.fallback': [
        warns('ONNX Runtime runs the network: no engine of TensorRT 10'),
        h.with_node(
            parameters={'backend': 'tensorrt'},
            values={'backend': 'onnxruntime', 'state': 'active'},
        ),
    ],
    'model.scale_jump': [h.with_node(level=2, message='the scale jumped (typical +30%)')],
    'model.sigma': [warns('by the references sigma is 5 times too small')],
    'depth.sparse': [warns('only 0.2 % of the pixels are known: is a lens covered')],
    'topic.missing': [h.with_stream(LEFT, publishers=(), stamps_ns=(), ages_s=(), picture=None)],
    'topic.type': [
        h.with_stream(
            LEFT,
            publishers=(Endpoint('/driver', 'sensor_msgs/msg/CompressedImage'),),
            stamps_ns=(),
            ages_s=(),
            picture=None,
        )
    ],
    'topic.qos': [h.with_stream(LEFT, publishers=(BEST_EFFORT,))],
    'topic.two_publishers': [
        h.with_stream(LEFT, publishers=(Endpoint('/driver', h.IMAGE), Endpoint('/bag', h.IMAGE)))
    ],
    'topic.silent': [h.with_stream(LEFT, stamps_ns=(), ages_s=(), picture=None)],
    'image.encoding': [
        h.with_stream(LEFT, picture=Picture(640, 480, '16UC1', 'wanted one of', 'encoding'))
    ],
    'image.broken': [
        h.with_stream(LEFT, picture=Picture(640, 480, 'mono8', 'data has 5 bytes', 'truncated'))
    ],
    'image.too_large': [
        h.with_stream(LEFT, picture=Picture(9000, 9000, 'mono8', 'the limit', 'too_large'))
    ],
    'image.blank': [
        h.with_stream(LEFT, picture=Picture(640, 480, 'mono8', contrast=0.8, brightness=2.0))
    ],
    'info.empty': [
        h.with_stream('left image info', info=h.info(k=(0.0,) * 9, p=(0.0,) * 12)),
        h.with_stream('left image info', info=h.info(p=(0.0,) * 12)),
    ],
    'info.unusable': [
        h.with_stream('left image info', info=h.with_p(h.info(), _0=float('nan'))),
        h.with_stream('left image info', info=h.info(r=(2.0,) * 9)),
        h.with_stream(
            'left image info', info=h.info(d=(0.1,) * 4, distortion_model='never_heard')
        ),
    ],
    'info.size': [
        h.with_stream(LEFT, picture=Picture(320, 240, 'mono8', contrast=40.0)),
        h.with_stream(LEFT, picture=Picture(640, 481, 'mono8', contrast=40.0)),
    ],
    'info.raw': [h.with_stream('left image info', info=h.info(d=(-0.3, 0.1, 0.0, 0.0, 0.0)))],
    'info.rectified_here': [h.of_subject(raw_pair())],
    'info.focal': [
        both_infos(
            h.with_p(h.info(), _0=2e4, _5=2e4), h.with_p(h.info(), _0=2e4, _3=-2400.0, _5=2e4)
        )
    ],
    'info.changes': [h.with_stream('left image info', calibrations=7)],
    'pair.size': [h.of_subject(smaller_right())],
    'pair.calibration': [
        h.with_stream('right image info', info=h.with_p(h.info(0.12), _6=241.0)),
        h.with_stream('right image info', info=h.with_p(h.info(0.12), _0=505.0)),
        h.with_stream('right image info', info=h.with_p(h.info(0.0), _7=-60.0)),
    ],
    'pair.no_baseline': [h.with_stream('right image info', info=h.info(0.0))],
    'pair.swapped_info': [h.with_stream('right image info', info=h.info(-0.12))],
    'pair.baseline': [h.with_stream('right image info', info=h.info(120.0))],
    'pair.swapped': [h.with_sight(behind=0.97, disparity_px=-25.0)],
    'pair.vertical': [
        h.with_sight(vertical_px=-1.0),
        h.with_sight(roll_px=2.5),
        h.with_sight(scale_px=-4.5),
    ],
    'pair.unmatched': [h.with_sight(matches=20, agree=0.3), h.with_sight(agree=0.2)],
    'pair.identical': [h.with_sight(identical=True, vertical_px=0.0, disparity_px=0.0)],
    'pair.unseen': [h.of_subject(h.subject(Sight(problem='OpenCV is missing')))],
    'pair.stamps': [h.of_subject(unsynchronised())],
    'pair.losses': [
        h.with_stream(RIGHT, stamps_ns=h.STAMPS[::4], arrivals_s=h.ARRIVALS[::4]),
        warns('60 % of the images find no partner'),
    ],
    'stamp.zero': [h.with_stream(LEFT, stamps_ns=(0,) * 30, ages_s=(1.7e9,) * 30)],
    'stamp.old': [h.with_stream(LEFT, ages_s=(0.8,) * 30)],
    'stamp.future': [h.with_stream(LEFT, ages_s=(-0.4,) * 30)],
    'stamp.backwards': [h.with_stream(LEFT, stamps_ns=(*h.STAMPS[15:], *h.STAMPS[:15]))],
    'stamp.info': [
        h.with_stream('left image info', stamps_ns=shifted(0.004)),
        h.with_stream(
            'left image info', stamps_ns=h.STAMPS[:1], arrivals_s=h.ARRIVALS[:1], ages_s=(0.1,)
        ),
    ],
    'clock.none': [replace(sim(True, 0.02, 0.0), clock_publishers=())],
    'clock.unused': [sim(False, 1.7e9, 0.03)],
    'clock.mixed': [sim(True, 0.03, -1.7e9)],
    'rate.low': [jittered([20.0, 20.0])],
    'rate.irregular': [jittered([1.0, 0.3, 1.0, 1.7, 0.35])],
    'rate.losses': [jittered([1.0, 1.0, 4.0])],
    'rate.link': [h.with_stream(LEFT, bytes=20_000_000)],
    'frame.empty': [h.with_stream(LEFT, frame_ids=('',))],
    'frame.not_optical': [
        h.with_frames(placed={'camera_optical': Placed('base_link', base=True, down=1.0)})
    ],
    'frame.info': [h.with_stream('left image info', frame_ids=('other_optical',))],
    'frame.pair': [h.of_subject(two_frames())],
    'frame.changes': [h.with_stream(RIGHT, frame_ids=('a_optical', 'camera_optical'))],
    'tf.unseen': [h.with_frames(lacking='tf2_msgs is not installed')],
    'tf.missing': [
        h.with_frames(placed={'camera_optical': Placed()}),
        h.with_frames(placed={'camera_optical': Placed()}, received=0),
    ],
    'tf.unconnected': [h.with_frames(placed={'camera_optical': Placed('map')})],
    'param.rectified': [h.of_subject(raw_pair('yes'))],
    'param.sync_tolerance': [
        h.with_parameters(approximate_sync=True, approximate_sync_tolerance_seconds=0.08)
    ],
    'param.depth_range': [
        h.with_parameters(max_depth_m=200.0),
        h.with_parameters(sgbm__num_disparities=64),
    ],
}

LINKED = Wishes(link_mbit=1000.0)


def test_every_fault_of_the_catalogue_is_tried():
    assert CASES.keys() == CATALOGUE.keys()


@pytest.mark.parametrize(
    ('name', 'facts'), [(name, facts) for name, many in CASES.items() for facts in many]
)
def test_a_fault_gives_its_finding_and_no_other(name, facts):
    found = judge(facts, LINKED)
    allowed = {name, 'node.none'} if name != 'node.none' else {name}
    assert {one.id for one in found} <= allowed
    assert name in {one.id for one in found}
    assert all(one.seen and one.wanted and all(one.cures) for one in found)


def test_health_gives_no_finding():
    assert judge(h.facts(), LINKED) == []
    assert exit_code([]) == 0


def of_one(facts):
    (found,) = judge(facts, LINKED)
    return found


def test_findings_tell_numbers():
    assert 'right minus left is -7.0 ms' in of_one(h.of_subject(unsynchronised())).seen
    assert 'none of 29 left' in of_one(h.of_subject(unsynchronised())).seen
    assert 'camera_info 640x480, image 320x240' in of_one(CASES['info.size'][0]).seen
    assert '-0.1200 m' in of_one(CASES['pair.swapped_info'][0]).seen
    assert '30 of 59 images at 10.0 Hz' in judge(CASES['rate.losses'][0])[0].seen
    assert '1600 Mbit/s' in of_one(CASES['rate.link'][0]).seen
    assert 'reach 0.94 m' in of_one(CASES['param.depth_range'][1]).seen  # 500 * 0.12 / 64


def test_cures_name_the_command():
    cures = of_one(CASES['node.not_active'][1]).cures
    assert cures[0] == (
        'ros2 lifecycle set /stereo_depth_node configure && '
        'ros2 lifecycle set /stereo_depth_node activate'
    )
    assert 'approximate_sync_tolerance_seconds:=0.011' in of_one(CASES['pair.stamps'][0]).cures[1]
    assert of_one(CASES['topic.type'][0]).cures[0].endswith('image_transport:=compressed')


@pytest.mark.parametrize(('offset_px', 'gravity'), [(0.7, None), (1.0, 'warning'), (2.0, 'error')])
def test_rows_are_judged_by_their_offset(offset_px, gravity):
    found = judge(h.with_sight(vertical_px=offset_px))
    assert [one.severity for one in found] == ([gravity] if gravity else [])


def test_a_slow_machine_raises_no_alarm():
    """Ages grow and a quarter of the messages is lost when the doctor hardly runs."""
    one = h.subject()
    ages_s = tuple(0.05 + 0.1 * (i % 9) for i in range(30))
    for role in ('left image', 'right image', 'left image info', 'right image info'):
        keep = [i for i in range(30) if (i + len(role)) % 4]
        one = moved(
            one,
            role,
            ages_s=tuple(ages_s[i] for i in keep),
            stamps_ns=tuple(h.STAMPS[i] for i in keep),
            arrivals_s=tuple(h.ARRIVALS[i] for i in keep),
        )
    assert judge(h.of_subject(one)) == []


def test_what_the_inputs_explain_is_not_told_again():
    one = h.subject(of_node=h.node(level=1, message='waiting for left/image_rect', heard=0))
    one = moved(one, LEFT, publishers=(), stamps_ns=(), ages_s=(), picture=None)
    assert [found.id for found in judge(h.of_subject(one))] == ['topic.missing']


def test_tf_is_an_error_where_the_node_needs_it():
    unplaced = {'camera_optical': Placed()}
    frames = Frames(received=3, placed=unplaced)
    needs = h.subject(of_node=h.node(parameters={'ground.frame': 'base_footprint'}))
    assert judge(h.of_subject(needs, frames=frames))[0].severity == 'error'
    assert judge(h.facts(frames=frames))[0].severity == 'warning'


def test_exit_codes():
    assert exit_code(judge(CASES['tf.unseen'][0])) == 0
    assert exit_code(judge(CASES['topic.missing'][0])) == 1
    assert exit_code(judge(CASES['graph.empty'][0])) == 3
    assert exit_code(judge(CASES['tf.missing'][0])) == 4


def test_the_report_has_a_schema():
    facts = CASES['pair.stamps'][0]
    told = report(facts, judge(facts))
    assert told['schema'] == 'depth_perception.doctor/1'
    assert (told['exit_code'], told['healthy']) == (1, False)
    assert told['counts'] == {'error': 1, 'warning': 0, 'note': 0}
    assert told['looked_at'][0]['topics']['right image'] == '/cam/right/image_rect'
    assert set(told['findings'][0]) == {
        'id', 'severity', 'subject', 'where', 'seen', 'wanted', 'cures'
    }  # fmt: skip


def test_the_gravest_comes_first():
    one = h.subject(sight=replace(h.SIGHT, vertical_px=1.0))
    found = judge(h.of_subject(moved(one, 'right image info', info=h.info(0.0))))
    assert [one.severity for one in found] == ['error', 'warning']
