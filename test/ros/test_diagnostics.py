"""The sentence and the figures that tell a user how the node is."""

from depth_perception.ros.diagnostics import Condition, judge, text_of
from depth_perception.ros.latency import RateMeter, StageTimes
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
import pytest
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@pytest.mark.parametrize(
    ('condition', 'level', 'part'),
    [
        (Condition(), OK, 'unconfigured'),
        (Condition(trouble='configure failed: x'), ERROR, 'configure failed: x'),
        (Condition(state='inactive', not_metric='no scale'), ERROR, 'nothing is published'),
        (Condition(state='active'), OK, 'idle: no output has a subscriber'),
        (Condition(state='active', wanted=['points'], rate_hz=12.34), OK, '12.3 Hz to points'),
        (Condition(state='active', waiting='waiting for a'), WARN, 'waiting for a'),
        (Condition(state='active', sparse='only 0.1 % known'), WARN, 'only 0.1 % known'),
        (Condition(state='active', losses='40 % find no partner'), WARN, '40 % find'),
        (Condition(state='active', dishonest='by the references'), WARN, 'by the references'),
        (Condition(state='active', mismatches=['m']), WARN, 'incompatible QoS: m'),
        (Condition(state='active', recent_drop='step: d'), WARN, 'frames dropped: step: d'),
        (Condition(state='active', waiting='w', not_metric='n'), ERROR, 'not metric'),
        (Condition(state='active', waiting='w', jump='the scale jumped'), ERROR, 'scale jumped'),
    ],
)
def test_the_gravest_finding_speaks(condition, level, part):
    said_level, message = judge(condition)
    assert said_level == level
    assert part in message


def test_numbers_are_written_for_people():
    assert text_of(0.123456) == '0.1235'
    assert text_of(float('nan')) == 'unknown'
    assert text_of(3) == '3'


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, line):
        self.lines.append(line)

    error = warning


def test_a_cause_is_logged_once_in_a_while_but_always_counted(monkeypatch):
    now = [100.0]
    monkeypatch.setattr('time.monotonic', lambda: now[0])
    log = Log()
    ledger = Ledger(log)
    for moment in (100.0, 102.0, 104.9, 105.1):
        now[0] = moment
        ledger.drop('step', f'at {moment}')
    ledger.drop('encoding', 'x')
    assert log.lines == [
        'frame dropped (step): at 100.0',
        'frame dropped (step): at 105.1',
        'frame dropped (encoding): x',
    ]
    assert ledger.drops() == {'encoding': 1, 'step': 4}
    assert ledger.recent_drop() == 'encoding: x'
    now[0] = 111.0
    assert ledger.recent_drop() == ''


def test_another_reason_of_the_same_cause_does_not_hide_behind_the_first():
    log = Log()
    ledger = Ledger(log)
    for said in ('fx is 0.0', 'fx is -500.0', 'left and right are swapped', 'fx is nan'):
        ledger.drop('calibration', said)
    assert log.lines == [
        'frame dropped (calibration): fx is 0.0',
        'frame dropped (calibration): left and right are swapped',
        'frame dropped (calibration): fx is nan',
    ]


def test_percentiles_are_those_of_the_last_frames():
    times = StageTimes()
    for value in [1e6, *range(1, 301)]:
        times.add({'infer': float(value)})
    wanted = np.percentile(np.arange(1, 301), (50, 95, 99))
    assert times.percentiles_ms()['infer'] == pytest.approx(wanted)


def test_rate_counts_intervals(monkeypatch):
    now = [50.0]
    monkeypatch.setattr('time.monotonic', lambda: now[0])
    meter = RateMeter(span_s=2.0)
    assert meter.rate_hz() == 0.0
    for _ in range(9):
        meter.tick()
        now[0] += 0.25
    now[0] -= 0.25
    assert meter.rate_hz() == pytest.approx(4.0)
    now[0] += 60.0
    assert meter.rate_hz() == 0.0


def test_diagnostics_of_a_running_node_are_complete(system, scene):
    settings = {'max_input_age_s': 50.0, 'diagnostics_period_s': 0.1}
    system.start(StereoDepthNode, sgbm__num_disparities=32, **settings)
    heard = system.peer.listen('/depth/image_rect', Image)
    array = system.peer.listen('/diagnostics', DiagnosticArray)
    status = system.status()
    for _ in range(3):
        system.depth_after(heard, scene.stereo())
    values = status.until_count('frames out', 3)
    system.peer.until(lambda: array, '/diagnostics')
    wanted = {
        'frames in', 'frames dropped', 'sync failures', 'qos mismatches', 'rate [Hz]',
        'input age [s]', 'model', 'backend', 'backend reason', 'scale rung', 'scale sigma [%]',
        'valid pixels [%]', 'median sigma / depth [%]', 'package message_filters',
        'latency stamp to publish p50/p95/p99 [ms]', 'input right/camera_info',
    }  # fmt: skip
    assert wanted <= values.keys()
    for stage in ('queue', 'decode image', 'infer', 'filter', 'encode', 'publish'):
        assert f'stage {stage} p50/p95/p99 [ms]' in values
    assert values['scale rung'] == 'stereo'
    assert float(values['valid pixels [%]']) > 40.0
    assert array[-1].status[0].name == 'stereo_depth_node: depth'
    assert array[-1].header.stamp.sec > 0


def test_status_reaches_late_subscribers_of_an_idle_node(system):
    system.start(StereoDepthNode, diagnostics_period_s=60.0, autostart=False)
    assert system.status().until_message('unconfigured').level == OK
