"""Transitions up and down, failures that explain themselves, and the end of the process."""

import os
import signal
import subprocess
import sys
import threading
import time

from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from lifecycle_msgs.msg import Transition
import pytest
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
SMALL = {'sgbm__num_disparities': 32, 'max_input_age_s': 50.0, 'diagnostics_period_s': 0.1}
NAME = 'stereo_depth_node'
LIMIT_S = 90.0
AT_ONCE_S = 3.0  # and twice the time of starting, which tells how busy the machine is


def test_up_down_and_up_again(system, scene):
    system.start(StereoDepthNode, **SMALL, autostart=False)
    peer = system.peer
    assert peer.state_of(NAME) == 'unconfigured'
    heard = peer.listen('/depth/image_rect', Image)
    for _ in range(2):
        assert peer.transition(NAME, Transition.TRANSITION_CONFIGURE)
        assert peer.transition(NAME, Transition.TRANSITION_ACTIVATE)
        assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
        assert peer.transition(NAME, Transition.TRANSITION_DEACTIVATE)
        assert peer.node.count_subscribers('/left/image_rect') == 0
        assert peer.transition(NAME, Transition.TRANSITION_ACTIVATE)
        assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
        assert peer.transition(NAME, Transition.TRANSITION_DEACTIVATE)
        assert peer.transition(NAME, Transition.TRANSITION_CLEANUP)
        peer.until(lambda: peer.node.count_publishers('/depth/image_rect') == 0, 'withdrawal')
    assert peer.transition(NAME, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert peer.state_of(NAME) == 'finalized'


def test_a_destroyed_node_leaves_the_graph_at_once(system):
    """Its participant goes with it, which else goes in the midst of whatever comes then."""
    node = system.start(StereoDepthNode, **SMALL)
    system.status().until_message('idle')
    assert NAME in system.peer.node.get_node_names()
    system.stop()
    names = system.peer.node.get_node_names
    system.peer.until(lambda: NAME not in names(), 'farewell')
    del node  # held so far: it is not the garbage collector who ended it


def test_shutdown_from_active(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    system.depth_after(heard, scene.stereo())
    assert system.peer.transition(NAME, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert system.peer.state_of(NAME) == 'finalized'
    system.status().until_message('finalized')


def test_failing_configure_says_why_once_and_leaves_the_node_alive(system, capfd):
    system.start(StereoDepthNode, **SMALL, model='no_such_model')
    said = system.status().until_message('configure failed')
    assert 'no_such_model' in said.message
    assert system.peer.state_of(NAME) == 'unconfigured'
    assert capfd.readouterr().err.count('no_such_model') == 1
    assert not system.peer.transition(NAME, Transition.TRANSITION_CONFIGURE)


def test_a_defect_in_configure_is_logged_with_its_traceback(system, capfd, monkeypatch):
    def broken(*_):
        raise RuntimeError('a defect')

    with monkeypatch.context() as patched:
        patched.setattr('depth_perception.ros.depth_node.open_estimator', broken)
        system.start(StereoDepthNode, **SMALL)
        system.status().until_message("configure failed unexpectedly: RuntimeError('a defect')")
    assert 'Traceback' in capfd.readouterr().err
    assert system.peer.state_of(NAME) == 'unconfigured'
    assert system.peer.transition(NAME, Transition.TRANSITION_CONFIGURE)


def test_a_stereo_model_is_refused_by_the_mono_node(system):
    system.start(MonoDepthNode, model='sgbm', diagnostics_period_s=0.1)
    said = system.status('mono_depth_node').until_message('configure failed')
    assert 'sgbm is a stereo model' in said.message


@pytest.fixture
def start_process(domain_id):
    """Return a function that starts a program, which ends with the test at the latest."""
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'ROS_DOMAIN_ID': str(domain_id)}
    processes = []

    def start(program, *arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, *program, '--ros-args', *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def read_until(process, part):
    """Return the lines up to the one that holds `part`, or all if none does in time."""
    lines = []
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    for line in process.stdout:
        lines.append(line)
        if part in line:
            break
    limit.cancel()
    return ''.join(lines)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('module', ['stereo_depth_node', 'mono_depth_node'])
def test_a_signal_ends_the_executable_quickly_and_quietly(start_process, module, number):
    began_s = time.monotonic()
    process = start_process(['-m', f'depth_perception.ros.{module}'])
    assert 'active' in read_until(process, 'active')
    limit_s = AT_ONCE_S + 2.0 * (time.monotonic() - began_s)
    process.send_signal(number)
    said, _ = process.communicate(timeout=limit_s)
    assert 'Traceback' not in said
    assert process.returncode == 0


SLOW_START = """
import sys, time
from depth_perception.ros import depth_node, stereo_depth_node
def load(*_):
    print('loading', flush=True)
    time.sleep(60.0)
depth_node.open_estimator = load
sys.exit(stereo_depth_node.main())
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_executable_while_a_network_loads(start_process, number):
    began_s = time.monotonic()
    process = start_process(['-c', SLOW_START])
    assert 'loading' in read_until(process, 'loading')
    limit_s = AT_ONCE_S + 2.0 * (time.monotonic() - began_s)
    process.send_signal(number)
    said, _ = process.communicate(timeout=limit_s)
    assert (said, process.returncode) == ('', 0)


def test_a_wrong_parameter_ends_the_executable_with_one_line(start_process):
    process = start_process(
        ['-m', 'depth_perception.ros.stereo_depth_node'], '-p', 'min_depth_m:=20'
    )
    said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert 'min_depth_m: wants float, got 20 (write 20.0)' in said
    assert len(said.strip().splitlines()) == 1


def test_a_missing_parameter_file_ends_the_executable_with_the_reason(start_process, tmp_path):
    missing = str(tmp_path / 'missing.yaml')
    program = ['-m', 'depth_perception.ros.stereo_depth_node']
    process = start_process(program, '--params-file', missing)
    said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert 'bad arguments' in said
    assert missing in said
    assert 'Traceback' not in said
