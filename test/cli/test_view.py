"""depth_perception view: the verb becomes the viewer, with what the user said."""

import argparse
import http.client
import importlib.util
import re
import signal
import subprocess
import sys

from depth_perception.cli import view
from depth_perception.cli.main import main, parser
from depth_perception.view.options import add_view_options
import pytest

COMMAND = [sys.executable, '-m', 'depth_perception.cli.main', 'view']


def test_every_option_reaches_the_node():
    words = [
        *('--host', '::1', '--port', '0', '--namespace', 'front', '--max-side', '320'),
        *('--depth', '/d', '--sigma', '/s', '--image', '/i', '--info', '/c'),
    ]
    given = parser().parse_args(['view', *words])
    probe = argparse.ArgumentParser()
    add_view_options(probe)
    passed = vars(probe.parse_args(view.node_arguments(given)))
    assert passed == vars(probe.parse_args(words))
    assert len(passed) == 8


@pytest.mark.parametrize('words', [['--port', '70000'], ['--max-side', '0'], ['--port', 'x']])
def test_numbers_out_of_range_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(['view', *words])
    assert 'is not a number from' in capsys.readouterr().err


def test_without_ros_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert main(['view']) == 2
    assert 'rclpy is not installed: source a ROS 2' in capsys.readouterr().err


@pytest.mark.ros
def test_it_prints_an_address_serves_the_page_and_ends_with_ctrl_c():
    pytest.importorskip('rclpy')
    with subprocess.Popen([*COMMAND, '--port', '0'], stderr=subprocess.PIPE, text=True) as viewer:
        try:
            lines = iter(viewer.stderr.readline, '')
            found = (re.search(r'http://127\.0\.0\.1:(\d+)/', line) for line in lines)
            port = int(next(match for match in found if match)[1])
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30.0)
            connection.request('GET', '/')
            assert b'<title>depth_perception view</title>' in connection.getresponse().read()
            connection.close()
            viewer.send_signal(signal.SIGINT)
            assert viewer.wait(30.0) == 0
        finally:
            viewer.kill()
