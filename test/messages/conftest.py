"""The readers are tried with the messages of a real ROS; see test_recorded for those of bags."""

import importlib.util

import pytest

HAS_ROS = importlib.util.find_spec('sensor_msgs') is not None


class WithoutRos(pytest.Module):
    """A module that cannot be imported here: one visible skip in its place."""

    def collect(self):
        pytest.skip('sensor_msgs is not installed', allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    needs_ros = 'sensor_msgs' in module_path.read_text(encoding='utf-8')
    return WithoutRos.from_parent(parent, path=module_path) if needs_ros and not HAS_ROS else None
