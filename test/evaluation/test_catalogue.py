"""The catalogue: complete, consistent, and the same in the documentation."""

from pathlib import Path
import re

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import SettingsError
from depth_perception.evaluation.catalogue import (
    catalogue_markdown,
    GROUPS,
    LABELS,
    metric_named,
    metric_of,
    METRICS,
    pooled_value,
)
from depth_perception.evaluation.measures import steadiness
from depth_perception.evaluation.measures.alignment import LABELS as ALIGNMENTS
from depth_perception.evaluation.measures.clouds import cloud_measures, obstacle_range_error_m
from depth_perception.evaluation.measures.depth import depth_measures
from depth_perception.evaluation.measures.planes import plane_measures
from depth_perception.evaluation.measures.sigma import sigma_measures
from depth_perception.evaluation.measures.stereo import d1_sums, disparity_measures
from depth_perception.evaluation.measures.structure import boundary_f1
from depth_perception.evaluation.measures.temporal import TemporalMeasures
import numpy as np
import pytest

DOCUMENT = Path(__file__).parents[2] / 'docs' / 'evaluation.md'


def images():
    generator = np.random.default_rng(1)
    truth = generator.uniform(2.0, 9.0, (12, 17)).astype(np.float32)
    predicted = truth + generator.normal(0.0, 0.3, truth.shape).astype(np.float32)
    return predicted, truth, np.ones(truth.shape, np.bool_)


def test_every_figure_of_depth_and_disparity_is_there():
    predicted, truth, mask = images()
    left = np.arange(17) < 9
    seen = np.broadcast_to(left, truth.shape)
    figures = {
        **depth_measures(predicted, truth, mask),
        **disparity_measures(predicted, truth, mask, seen),
    }
    assert set(figures) <= set(METRICS)
    pooled = {metric.sums for metric in METRICS.values() if metric.kind == 'pooled'}
    assert set(d1_sums(predicted, truth, mask, seen)) == pooled


def test_every_figure_of_sigma_is_there():
    pytest.importorskip('scipy')
    predicted, truth, mask = images()
    figures = sigma_measures(predicted, np.full_like(truth, 0.3), truth, mask)
    assert set(figures) <= set(METRICS)
    of_group = {name for name, metric in METRICS.items() if metric.group == 'sigma'}
    assert set(figures) >= of_group


def test_every_figure_of_clouds_is_there():
    pytest.importorskip('scipy')
    predicted, truth, mask = images()
    camera = PinholeCamera(17, 12, 20.0, 21.0, 8.0, 5.5)
    figures = {
        **cloud_measures(predicted, truth, mask, camera),
        **plane_measures(predicted, truth, mask, camera),
    }
    of_group = {name for name, metric in METRICS.items() if metric.group == 'cloud'}
    assert set(figures) == of_group
    assert {obstacle_range_error_m.__name__, boundary_f1.__name__} <= set(METRICS)


def test_every_figure_over_time_is_there():
    predicted, _, _ = images()
    camera = PinholeCamera(17, 12, 20.0, 21.0, 8.0, 5.5)
    measures = TemporalMeasures()
    figures = measures.add(predicted, 0, camera, np.eye(4), np.zeros((12, 17), np.uint8))
    of_group = {name for name, metric in METRICS.items() if metric.group == 'time'}
    of_runs = {name for name in of_group if METRICS[name].kind == 'run'}
    assert set(figures) == of_group - of_runs - {'scale'}
    assert of_runs == {'flicker', 'scale_jitter'}
    assert callable(measures.flicker)
    assert callable(steadiness.scale_jitter)


def test_labels_are_those_of_the_alignments():
    assert set(LABELS) == set(ALIGNMENTS)


@pytest.mark.parametrize('metric', METRICS.values(), ids=lambda metric: metric.name)
def test_an_entry_is_consistent(metric):
    assert METRICS[metric.name] is metric
    assert re.fullmatch(r'[a-z][a-z0-9_]*', metric.name)
    assert metric.group in GROUPS
    assert metric.kind in {'mean', 'pooled', 'percentile', 'run'}
    assert (metric.better == 'target') == (metric.target is not None)
    assert metric.better in {'lower', 'higher', 'target'}
    assert (metric.kind == 'pooled') == bool(metric.sums)
    assert metric.definition.endswith('.')
    endings = {'_m': 'm', '_px': 'px', '_pct': '%', '_ms': 'ms', '_deg': 'deg'}
    for ending, unit in endings.items():
        if re.sub(r'_(noc|occ)$', '', metric.name).endswith(ending):
            assert metric.unit in {unit, 'nat'}


def test_names_and_titles_are_unique():
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)
    assert len(METRICS) > 75


def test_a_key_has_a_label_and_a_name():
    assert metric_of('median/abs_rel') == ('median', METRICS['abs_rel'])
    assert metric_of('delta1') == ('online', METRICS['delta1'])
    assert metric_named('within_1_sigma').target == 0.6827


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('absrel', "unknown metric 'absrel'; did you mean abs_rel"),
        ('median/RMSE', "unknown metric 'RMSE'; did you mean rmse_m"),
        ('online/', "unknown metric ''; see docs"),
        ('qqqqqqqqqq', 'see docs/evaluation.md'),
        ('none/abs_rel', "unknown label 'none'; labels are online, median, lsq_disp"),
        ('a/b/abs_rel', "unknown label 'a'"),
        ('/abs_rel', "unknown label ''"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_close(key, message):
    with pytest.raises(SettingsError, match=message):
        metric_of(key)


def test_pooled_figures_weigh_pixels_not_frames():
    assert pooled_value(METRICS['d1_pct'], [3.0 + 0.0, 10.0 + 90.0]) == 3.0
    assert np.isnan(pooled_value(METRICS['d1_pct'], [0.0, 0.0]))
    with pytest.raises(SettingsError, match='abs_rel is no pooled metric but a mean'):
        pooled_value(METRICS['abs_rel'], [1.0, 2.0])
    with pytest.raises(SettingsError, match='d1 holds 3 numbers'):
        pooled_value(METRICS['d1_pct'], [1.0, 2.0, 3.0])


def test_the_documentation_is_current():
    tables = catalogue_markdown()
    document = DOCUMENT.read_text(encoding='utf-8')
    assert tables in document, 'paste catalogue_markdown() at the end of docs/evaluation.md'
    rows = [line for line in tables.splitlines() if line.startswith('| `')]
    assert len(rows) == len(METRICS) + len(LABELS)
    assert all(len(re.findall(r'(?<!\\)\|', row)) in {3, 7} for row in rows)
