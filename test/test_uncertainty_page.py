"""What docs/uncertainty.md shows and names exists, and its pictures stay small."""

from pathlib import Path
import re

from depth_perception.inference.postprocess import MATCHER_CORRELATION, NETWORK_CORRELATION
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'uncertainty.md').read_text(encoding='utf-8')
PICTURES = re.findall(r'!\[[^]]+\]\(([^)]+)\)', PAGE)


def test_page_has_its_pictures():
    assert len(PICTURES) >= 4


@pytest.mark.parametrize('name', PICTURES)
def test_picture_is_there_and_small(name):
    data = (ROOT / 'docs' / name).read_bytes()
    assert data[:3] == b'\xff\xd8\xff' or data[:4] == b'\x89PNG'
    assert len(data) < 300_000


@pytest.mark.parametrize('link', re.findall(r'\]\(([^)#:]+)\)', PAGE))
def test_link_leads_somewhere(link):
    assert (ROOT / 'docs' / link).is_file()


@pytest.mark.parametrize('script', sorted(set(re.findall(r'(benchmark/\w+\.py)', PAGE))))
def test_named_script_exists(script):
    assert (ROOT / script).is_file()


@pytest.mark.parametrize('name', sorted(set(re.findall(r'\b((?:cloud|filters)\.\w+)', PAGE))))
def test_named_parameter_exists(name):
    assert name in declarations_of(StereoSettings)
    assert name in declarations_of(MonoSettings)
    assert declarations_of(StereoSettings)[name].setting.live


def test_told_defaults_are_the_defaults():
    stereo = StereoSettings()
    assert f'`max_relative_sigma` ({stereo.max_relative_sigma:g})' in PAGE
    assert f'`filters.flying_sigmas` ({stereo.filters__flying_sigmas:g})' in PAGE
    assert f'it is {MATCHER_CORRELATION:g} for the builtin matcher' in PAGE
    assert f'{NETWORK_CORRELATION:g} for networks' in PAGE
    text = declarations_of(StereoSettings)['filters.temporal_correlation'].setting.description
    assert f'{MATCHER_CORRELATION:g} for the builtin matcher' in text
    assert f'{NETWORK_CORRELATION:g} for networks' in text
