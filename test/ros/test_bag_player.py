"""Player and recorder over the real middleware, and the bytes they change and keep."""

import os
import signal
import struct
import subprocess
import sys
import time

from depth_perception.cli import demo_run
from depth_perception.ros import bag_recorder
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
LIMIT_S = 60.0


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
    """Play `bag` into the recorder; return what is recorded, and how long the playing took."""
    recorder = start('bag_recorder', *topics, '--output', out, domain=domain)
    began = time.monotonic()
    player = start('bag_player', bag, '--wait-for-subscribers', 20, *words, domain=domain)
    try:
        assert player.wait(LIMIT_S) == 0, player.stderr.read()
        took_s = time.monotonic() - began
        time.sleep(1.0)
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(LIMIT_S) == 0, recorder.stderr.read()
    finally:
        for process in (player, recorder):
            process.kill()
            process.communicate()
    return read(out), took_s


def test_recorded_stamps_and_bytes_are_kept(bag, tmp_path):
    found, _ = replay(bag, tmp_path / 'out', 61)
    for topic in ('/a', '/b'):
        played = [(stamp_ns(message), int(message.data[0])) for _, message in found[topic]]
        assert played == [(START_NS + i * PERIOD_NS, i) for i in range(FRAMES)]
    times_ns = [log_ns for log_ns, _ in found['/a']]
    assert np.diff(times_ns).mean() == pytest.approx(PERIOD_NS, rel=0.3)


def test_now_restamps_all_topics_alike_and_rate_and_clock_work(bag, tmp_path):
    before_ns = time.time_ns()
    words = ('--stamp', 'now', '--rate', '2', '--clock', '100', '--remap', '/b:=/c')
    found, _ = replay(bag, tmp_path / 'out', 62, *words, topics=('/a', '/c', '/clock'))
    stamps = {topic: [stamp_ns(m) for _, m in found[topic]] for topic in ('/a', '/c')}
    assert stamps['/a'] == stamps['/c']
    assert min(stamps['/a']) >= before_ns
    assert np.diff(stamps['/a']).mean() == pytest.approx(PERIOD_NS / 2, rel=0.3)
    ages_ms = [(log_ns - stamp_ns(message)) * 1e-6 for log_ns, message in found['/c']]
    assert 0 < np.median(ages_ms) < 1000
    clocks = [m.clock.sec * 10**9 + m.clock.nanosec for _, m in found['/clock']]
    assert clocks == sorted(clocks)
    assert START_NS <= clocks[0] <= clocks[-1] <= START_NS + FRAMES * PERIOD_NS
    assert len(clocks) > 20


def test_offset_duration_and_topics(bag, tmp_path):
    words = ('--start-offset', '0.3', '--duration', '0.6', '--topics', '/a')
    found, _ = replay(bag, tmp_path / 'out', 63, *words)
    assert set(found) <= {'/a'}
    assert [int(message.data[0]) for _, message in found['/a']] == [2, 3, 4]


def test_a_late_listener_is_waited_for(bag, tmp_path):
    early = start('bag_recorder', '/a', '-o', tmp_path / 'early', domain=66)
    player = start(
        *('bag_player', bag, '--wait-for-subscribers', 40, '--topics', '/a'),
        *('--subscribers', '/a=2', '--rate', 5),
        domain=66,
    )
    time.sleep(4.0)  # enough to find the first one and to begin
    late = start('bag_recorder', '/a', '-o', tmp_path / 'late', domain=66)
    try:
        assert player.wait(LIMIT_S) == 0, player.stderr.read()
        time.sleep(1.0)
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


def test_loop_plays_until_ctrl_c(bag):
    player = start('bag_player', bag, '--rate', 20, '--loop', domain=64)
    assert any('playing' in line for line in player.stderr)
    time.sleep(1.0)  # three times the length of the recording
    assert player.poll() is None
    player.send_signal(signal.SIGINT)
    _, errors = player.communicate(timeout=10)
    assert player.returncode == 0
    assert 'Traceback' not in errors


def test_the_demo_knows_what_the_recorder_says():
    assert demo_run.RECORDING == bag_recorder.READY


def test_recorder_ends_by_itself(tmp_path):
    recorder = start('bag_recorder', '/x', '-o', tmp_path / 'o', '--duration', 1, domain=65)
    assert recorder.wait(30) == 0
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
