"""The Fast DDS profile is given to nodes only where it is wanted and fits."""

from pathlib import Path
import re
from types import SimpleNamespace

from depth_perception import fastdds
from depth_perception.fastdds import FAST_DDS_2, FAST_DDS_3, profile_environment
import pytest


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.delenv(FAST_DDS_2, raising=False)
    monkeypatch.delenv(FAST_DDS_3, raising=False)
    monkeypatch.setattr(fastdds, 'SHARED_MEMORY', Path('/'))
    monkeypatch.setattr(fastdds.shutil, 'disk_usage', lambda _: SimpleNamespace(free=2**30))


@pytest.mark.parametrize(
    ('rclpy_version', 'variable'),
    [('3.3.13', FAST_DDS_2), ('7.1.6', FAST_DDS_2), ('9.1.2', FAST_DDS_3), ('10.0.4', FAST_DDS_3)],
)
def test_the_variable_of_the_distribution_names_the_profile(monkeypatch, rclpy_version, variable):
    monkeypatch.setattr(fastdds.metadata, 'version', lambda _: rclpy_version)
    ((name, path),) = profile_environment().items()
    assert name == variable
    assert Path(path).name == 'fastdds_shm.xml'
    assert Path(path).is_file()


@pytest.mark.parametrize('variable', [FAST_DDS_2, FAST_DDS_3])
def test_the_users_profile_wins(monkeypatch, variable):
    monkeypatch.setenv(variable, '/home/me/mine.xml')
    assert profile_environment() == {}


@pytest.mark.parametrize(
    ('free_mib', 'segment_mib'), [(1024, 64), (512, 64), (511, 32), (64, 8), (40, 4)]
)
def test_a_small_shared_memory_gets_segments_of_which_eight_fit(
    monkeypatch, tmp_path, free_mib, segment_mib
):
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    room = SimpleNamespace(free=free_mib * 2**20)
    monkeypatch.setattr(fastdds.shutil, 'disk_usage', lambda _: room)
    (path,) = profile_environment().values()
    sizes = re.findall(r'<(?:segment_size|maxMessageSize)>(\d+)<', Path(path).read_text())
    assert sizes == [str(segment_mib * 2**20)] * 2


def test_hardly_any_shared_memory_keeps_the_default(monkeypatch):
    room = SimpleNamespace(free=31 * 2**20)
    monkeypatch.setattr(fastdds.shutil, 'disk_usage', lambda _: room)
    assert profile_environment() == {}


def test_no_shared_memory_keeps_the_default(monkeypatch, tmp_path):
    monkeypatch.setattr(fastdds, 'SHARED_MEMORY', tmp_path / 'shm')
    assert profile_environment() == {}
