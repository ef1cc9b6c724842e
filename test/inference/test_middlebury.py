"""The accuracy that the matcher promises, on real scenes (see benchmark/stereo_accuracy.py)."""

from __future__ import annotations

from pathlib import Path
import runpy

import pytest

pytest.importorskip('cv2')
pytestmark = pytest.mark.shared
BENCHMARK = Path(__file__).resolve().parents[2] / 'benchmark' / 'stereo_accuracy.py'


@pytest.fixture(scope='module')
def mean_figures(shared_dir):
    benchmark = runpy.run_path(str(BENCHMARK))
    figures = benchmark['study'](shared_dir / 'data')
    keys = 'bad_2', 'coverage'
    return figures, {
        name: {key: benchmark['mean_of'](scenes, key) for key in (*keys, *extra)}
        for name, scenes in figures.items()
        for extra in [('within_1_sigma', 'within_2_sigma') if 'ours' in name else ()]
    }


def test_checked_matches_are_far_better_than_plain_sgbm(mean_figures):
    plain, ours = mean_figures[1]['plain'], mean_figures[1]['ours']
    told = f'plain {plain}, ours {ours}'
    assert ours['bad_2'] <= 0.45 * plain['bad_2'], told
    assert ours['coverage'] >= 0.9 * plain['coverage'], told


def test_no_scene_breaks_the_rule(mean_figures):
    plain, ours = mean_figures[0]['plain'], mean_figures[0]['ours']
    assert len(plain) == 17
    for scene, figures in plain.items():
        told = f'{scene}: plain {figures}, ours {ours[scene]}'
        assert ours[scene]['bad_2'] <= 0.6 * figures['bad_2'], told
        assert ours[scene]['coverage'] >= 0.75 * figures['coverage'], told


@pytest.mark.parametrize('other', ['plain', 'plain, 3 paths', 'plain, cap 63'])
def test_unchecked_matches_are_no_worse_than_any_plain_setting(mean_figures, other):
    plain, ours = mean_figures[1][other], mean_figures[1]['ours, no checks']
    told = f'{other} {plain}, ours {ours}'
    assert ours['bad_2'] <= plain['bad_2'], told
    assert ours['coverage'] >= plain['coverage'], told


def test_sigma_is_roughly_one_standard_deviation(mean_figures):
    ours = mean_figures[1]['ours']
    assert 60.0 < ours['within_1_sigma'] < 78.0, ours
    assert 90.0 < ours['within_2_sigma'] < 99.0, ours
