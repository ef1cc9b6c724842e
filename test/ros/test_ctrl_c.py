"""ctrl-C under ros2 launch reaches a node twice, from the terminal and from launch."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros
LIMIT_S = 90.0
AT_ONCE_S = 3.0  # and twice the time of starting, which tells how busy the machine is


def started(domain_id: int, *words: str) -> subprocess.Popen[str]:
    """Return the running node, once it has said that it is active."""
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(domain_id),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONUNBUFFERED': '1',
    }
    node = subprocess.Popen(
        [sys.executable, '-m', *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s and 'active' not in node.stdout.readline():
        assert node.poll() is None
    return node


@pytest.mark.parametrize(
    'words',
    [['stereo_depth_node'], ['mono_depth_node'], ['multi_depth_node', 'a,b', 'task=stereo']],
)
def test_repeated_ctrl_c_ends_a_node_at_once_with_code_0(domain_id, words):
    began_s = time.monotonic()
    node = started(domain_id, f'depth_perception.ros.{words[0]}', *words[1:])
    limit_s = AT_ONCE_S + 2.0 * (time.monotonic() - began_s)
    sent_s = time.monotonic()
    while node.poll() is None and time.monotonic() < sent_s + LIMIT_S:
        node.send_signal(signal.SIGINT)
        time.sleep(0.02)
    took_s = time.monotonic() - sent_s
    said = node.communicate(timeout=LIMIT_S)[0]
    assert node.returncode == 0
    assert took_s < limit_s
    assert 'Traceback' not in said
