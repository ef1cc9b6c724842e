"""A test that hangs ends the run, with its name and the place, even if no thread can speak."""

import signal
import subprocess
import sys

import hang_guard
import pytest

CONFTEST = """
from hang_guard import HangGuard


def pytest_configure(config):
    config.pluginmanager.register(HangGuard({limit_s}))
"""
HANGING = """
import ctypes
import pytest


@pytest.fixture
def node():
    yield
    ctypes.PyDLL(None).pause()  # PyDLL: the interpreter is not let go of meanwhile


def test_before():
    pass


def test_that_hangs(node):
    pass
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs pytest on a module of tests."""

    def run(tests, limit_s):
        (tmp_path / 'conftest.py').write_text(CONFTEST.format(limit_s=limit_s))
        (tmp_path / 'test_it.py').write_text(tests)
        folder = hang_guard.__file__.rpartition('/')[0]
        options = ['-p', 'no:cacheprovider', '-p', 'no:launch_testing', '-p', 'no:launch_ros']
        return subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', *options, '-o', f'pythonpath={folder}', '.'],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run


def test_a_hanging_teardown_is_named_and_ends_the_run(run):
    done = run(HANGING, 1.0)
    assert done.returncode == -signal.SIGABRT
    assert 'test_it.py::test_that_hangs has not ended within 1 s' in done.stderr
    assert 'in node' in done.stderr  # the fixture, in the stack of faulthandler


def test_what_ends_is_left_alone(run):
    done = run('def test_it():\n    pass\n', 60.0)
    assert done.returncode == 0
    assert 'hangs' not in done.stderr


def test_names_of_any_length_and_many_lines_are_read(run):
    named = "import pytest\n\n\n@pytest.mark.parametrize('it', [1], ids=[{name!r}])\n"
    for name in ('n' * 200_000, 'two\nlines', 'ü' * 3000):
        done = run(f'{named.format(name=name)}def test_it(it):\n    pass\n', 60.0)
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'guard' not in done.stderr
