"""Player and recorder over the real middleware, and the bytes they change and keep."""

import os
import signal
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

from depth_perception.cli import demo_run
from depth_perception.ros import bag_player, bag_recorder
from depth_perception.ros.bag_player import (
    arguments,
    main,
    message_class,
    Restamper,
    starts_with_header,
)
from depth_perception.ros.bag_recorder import BagFile
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
typesys = pytest.importorskip('rosbags.typesys')
pytestmark = pytest.mark.ros

TYPES = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
T = TYPES.types
IMAGE = 'sensor_msgs/msg/Image'
FRAMES, PERIOD_NS, START_NS = 6, 200_000_000, 1_700_000_000_000_000_000
LIMIT_S = 90.0
WAIT = ('--wait-for-subscribers', LIMIT_S)


def image(stamp_ns, value):
    stamp = T['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
    header = T['std_msgs/msg/Header'](stamp=stamp, frame_id='optical')
    return T[IMAGE](header, 2, 3, 'mono8', 0, 3, np.full(6, value, np.uint8))


@pytest.fixture
def bag(tmp_path):
    """Return a bag of two image topics with shared stamps."""
    file = BagFile(tmp_path / 'bag')
    for topic in ('/a', '/b'):
        file.add(topic, IMAGE)
    for i in range(FRAMES):
        stamp_ns = START_NS + i * PERIOD_NS
        for topic in ('/a', '/b'):
            data = bytes(TYPES.serialize_cdr(image(stamp_ns, i), IMAGE))
            file.write(topic, stamp_ns, data)
    file.close()
    return tmp_path / 'bag'


def read(path):
    """Return topic -> list of (log time, message)."""
    found = {}
    with rosbag2.Reader(path) as reader:
        for connection, log_ns, data in reader.messages():
            message = TYPES.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((log_ns, message))
    return found


def stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def start(module, *words, domain):
    command = [sys.executable, '-m', f'depth_perception.ros.{module}', *map(str, words)]
    environment = os.environ | {'ROS_DOMAIN_ID': str(domain), 'PYTHONWARNINGS': 'ignore'}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def replay(bag, out, domain, *words, topics=('/a', '/b')):
    """Play `bag` into the recorder; return what is recorded."""
    recorder = start('bag_recorder', *topics, '--output', out, domain=domain)
    player = start('bag_player', bag, *WAIT, *words, domain=domain)
    try:
        assert player.wait(2 * LIMIT_S) == 0, player.stderr.read()
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(LIMIT_S) == 0, recorder.stderr.read()
    finally:
        for process in (player, recorder):
            process.kill()
            process.communicate()
    return read(out)


def test_recorded_stamps_and_bytes_are_kept(bag, tmp_path, domain_id):
    found = replay(bag, tmp_path / 'out', domain_id)
    for topic in ('/a', '/b'):
        played = [(stamp_ns(message), int(message.data[0])) for _, message in found[topic]]
        assert played == [(START_NS + i * PERIOD_NS, i) for i in range(FRAMES)]
    times_ns = [log_ns for log_ns, _ in found['/a']]
    assert times_ns == sorted(times_ns)


def test_now_restamps_all_topics_alike_and_rate_and_clock_work(bag, tmp_path, domain_id):
    before_ns = time.time_ns()
    words = ('--stamp', 'now', '--rate', '2', '--clock', '100', '--remap', '/b:=/c')
    found = replay(bag, tmp_path / 'out', domain_id, *words, topics=('/a', '/c', '/clock'))
    stamps = {topic: [stamp_ns(m) for _, m in found[topic]] for topic in ('/a', '/c')}
    assert stamps['/a'] == stamps['/c']
    assert min(stamps['/a']) >= before_ns
    assert stamps['/a'] == sorted(set(stamps['/a']))
    ages_s = [(log_ns - stamp_ns(message)) * 1e-9 for log_ns, message in found['/c']]
    assert 0 < np.median(ages_s) < LIMIT_S
    clocks = [m.clock.sec * 10**9 + m.clock.nanosec for _, m in found['/clock']]
    assert clocks == sorted(clocks)
    assert START_NS <= clocks[0] <= clocks[-1] <= START_NS + FRAMES * PERIOD_NS


class PlayedTime:
    """A node, a clock and an event in one, in which waiting takes no time."""

    def __init__(self):
        self.now_s, self.published = 100.0, []
        self.is_set = lambda: False
        self.monotonic, self.time_ns = lambda: self.now_s, time.time_ns

    def wait(self, seconds):
        self.now_s += seconds

    def create_publisher(self, kind, topic, qos):
        return SimpleNamespace(publish=lambda _: self.published.append((topic, self.now_s)))


@pytest.mark.parametrize('rate', [1.0, 2.0])
def test_the_pace_is_that_of_the_recording_times_the_rate(bag, monkeypatch, rate):
    played = PlayedTime()
    monkeypatch.setattr(bag_player, 'time', played)
    with bag_player.Recording(bag) as recording:
        options = arguments([str(bag), '--rate', str(rate), '--clock', '100'])
        player = bag_player.Player(played, recording, options)
        player.stop = played
        player.play()
    times_s = {t: [s for topic, s in played.published if topic == t] for t in ('/a', '/b')}
    due_s = 100.0 + np.arange(FRAMES) * PERIOD_NS * 1e-9 / rate
    np.testing.assert_allclose([times_s['/a'], times_s['/b']], [due_s, due_s], atol=1e-6)
    ticks_s = [s for topic, s in played.published if topic == '/clock']
    count = round((FRAMES - 1) * PERIOD_NS * 1e-9 / rate * 100) + 1
    np.testing.assert_allclose(ticks_s, 100.0 + np.arange(count) / 100, atol=1e-6)


def test_offset_duration_and_topics(bag, tmp_path, domain_id):
    words = ('--start-offset', '0.3', '--duration', '0.6', '--topics', '/a')
    found = replay(bag, tmp_path / 'out', domain_id, *words)
    assert set(found) <= {'/a'}
    assert [int(message.data[0]) for _, message in found['/a']] == [2, 3, 4]


def test_a_late_listener_is_waited_for(bag, tmp_path, domain_id):
    early = start('bag_recorder', '/a', '-o', tmp_path / 'early', domain=domain_id)
    words = ('--topics', '/a', '--subscribers', '/a=2', '--rate', 5)
    player = start('bag_player', bag, *WAIT, *words, domain=domain_id)
    assert any(bag_recorder.READY in line for line in early.stderr)
    time.sleep(2.0)  # enough to begin, for a player that does not wait
    late = start('bag_recorder', '/a', '-o', tmp_path / 'late', domain=domain_id)
    try:
        assert player.wait(2 * LIMIT_S) == 0, player.stderr.read()
        for recorder in (early, late):
            recorder.send_signal(signal.SIGINT)
            assert recorder.wait(LIMIT_S) == 0, recorder.stderr.read()
    finally:
        for process in (player, early, late):
            process.kill()
            process.communicate()
    for name in ('early', 'late'):
        assert [int(m.data[0]) for _, m in read(tmp_path / name)['/a']] == list(range(FRAMES))


@pytest.mark.parametrize('text', ['/a', '=2', '/a=two'])
def test_subscribers_that_cannot_be_read(text, capsys):
    with pytest.raises(SystemExit):
        arguments(['bag', '--subscribers', text])
    assert 'is not TOPIC=NUMBER' in capsys.readouterr().err


def test_loop_plays_until_ctrl_c(bag, domain_id):
    player = start('bag_player', bag, '--rate', 20, '--loop', domain=domain_id)
    assert any('playing' in line for line in player.stderr)
    time.sleep(1.0)  # three times the length of the recording
    assert player.poll() is None
    player.send_signal(signal.SIGINT)
    _, errors = player.communicate(timeout=LIMIT_S)
    assert player.returncode == 0
    assert 'Traceback' not in errors


def test_the_demo_knows_what_the_recorder_says():
    assert demo_run.RECORDING == bag_recorder.READY


def test_what_has_arrived_is_written_at_the_end(tmp_path, context):
    """The player goes once everything is acknowledged; ctrl-C may then come at once."""
    from rclpy.duration import Duration
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node

    sender, receiver = (Node(name, context=context) for name in ('sender', 'receiver'))
    publisher = sender.create_publisher(message_class(IMAGE), '/a', 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(receiver)
    file = BagFile(tmp_path / 'bag')
    recorder = bag_recorder.Recorder(receiver, file, ['/a'], 0)
    end_s = time.monotonic() + LIMIT_S
    while not publisher.get_subscription_count():
        assert time.monotonic() < end_s
        executor.spin_once(timeout_sec=0.1)
    for _ in range(10):
        publisher.publish(message_class(IMAGE)())
    assert publisher.wait_for_all_acked(Duration(seconds=LIMIT_S))
    recorder.finish()
    file.close()
    executor.shutdown()
    sender.destroy_node()
    receiver.destroy_node()
    assert recorder.counts == {'/a': 10}


def test_recorder_ends_by_itself(tmp_path, domain_id):
    words = ('/x', '-o', tmp_path / 'o', '--duration', 1)
    recorder = start('bag_recorder', *words, domain=domain_id)
    assert recorder.wait(LIMIT_S) == 0
    recorder.communicate()
    assert read(tmp_path / 'o') == {}


@pytest.mark.parametrize('words', [['/no/such/bag'], ['{bag}', '--topics', '/c']])
def test_what_cannot_be_played_is_exit_code_2(bag, words, capfd):
    assert main([word.format(bag=bag) for word in words]) == 2
    said = capfd.readouterr().err
    assert 'not a rosbag2 recording' in said or 'has no topic /c; it has /a, /b' in said


def test_restamper_keeps_the_byte_order():
    restamper = Restamper()
    little = b'\x00\x01\x00\x00' + struct.pack('<iI', 5, 7) + b'rest'
    big = b'\x00\x00\x00\x00' + struct.pack('>iI', 5, 7) + b'rest'
    now_ns = 1_700_000_000 * 10**9 + 11
    done = restamper.restamp(little, now_ns)
    assert done[4:12] == struct.pack('<iI', 1_700_000_000, 11)
    assert done[:4] == little[:4]
    assert done[12:] == b'rest'
    # The same recorded stamp keeps its new one, on every topic.
    assert restamper.restamp(big, now_ns + 10**9)[4:12] == struct.pack('>iI', 1_700_000_000, 11)
    restamper.clear()
    assert restamper.restamp(little, 10**9)[4:12] == struct.pack('<iI', 1, 0)


def test_types_are_found_by_name():
    assert message_class('no_such_msgs/msg/Thing') is None
    assert starts_with_header(message_class(IMAGE))
    assert not starts_with_header(message_class('rosgraph_msgs/msg/Clock'))
