"""Tests of inference.calibration_file."""

from dataclasses import asdict, replace
from pathlib import Path

from depth_perception.core.calibration_choice import CalibrationFigures
from depth_perception.core.calibration_curve import PowerCurve, TableCurve
from depth_perception.errors import ModelError
from depth_perception.inference.calibration_file import (
    BagSpec,
    CalibrationFile,
    curve_sections,
    FiguresSpec,
    MAX_BYTES,
    ProvenanceSpec,
    read_calibration,
    write_calibration,
)
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import yaml

POWER = PowerCurve(1.25, 0.5, 0.125)
DIGEST = '0123456789abcdef' * 4


def calibration(curve=POWER, **changes):
    whole = CalibrationFile(
        model='sgbm',
        domain='disparity_px',
        score='matcher_sigma',
        provenance=ProvenanceSpec(
            (BagSpec('motorcycle', DIGEST, 1, 4000),), '0.1.0', '2026-01-02T03:04:05Z'
        ),
        figures=FiguresSpec(68000, 0.7, 0.93, 0.02, 5.1, 0.13),
        settings={'sgbm.block_size': 5, 'filters.flying_pixels': True},
        **curve_sections(curve),
    )
    return replace(whole, **changes)


def changed(file, **values):
    """Write a good file with some keys replaced, or removed where the value is None."""
    write_calibration(calibration(), file)
    content = {**yaml.safe_load(file.read_text()), **values}
    file.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return file


@pytest.mark.parametrize('curve', [PowerCurve(1.1, 0.7, 0.0), TableCurve((0.1, 2.0), (0.2, 0.2))])
def test_what_is_written_is_read(tmp_path, curve):
    path = tmp_path / 'sgbm.sigma.yaml'
    write_calibration(calibration(curve), path)
    found = read_calibration(path)
    assert found == calibration(curve)
    assert (found.curve, found.path) == (curve, path)
    assert list(tmp_path.iterdir()) == [path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=st.floats(0.0, 1e20), gamma=st.floats(0.0, 4.0), b=st.floats(1e-12, 1e20))
def test_no_digit_is_lost(tmp_path, a, gamma, b):
    path = tmp_path / 'x.yaml'
    write_calibration(calibration(PowerCurve(a, gamma, b)), path)
    assert read_calibration(path).curve == PowerCurve(a, gamma, b)


@pytest.mark.parametrize(
    ('values', 'problem'),
    [
        ({'schema': 2}, 'schema is 2, this version reads 1'),
        ({'schema': None}, 'schema is None'),
        ({'sigma': 1}, 'unknown key sigma'),
        ({'path': '/etc'}, 'unknown key path'),
        ({'model': None}, 'model is missing'),
        ({'model': 3}, 'calibration.model: wants str'),
        ({'domain': 'metres'}, 'calibration.domain'),
        ({'form': 'table'}, 'form is table'),
        ({'table': {'score': [1.0], 'sigma': [1.0]}}, 'form is power'),
        ({'power': {'a': -1.0, 'gamma': 1.0, 'b': 0.0}}, 'a of a sigma curve is -1.0'),
        ({'power': {'a': 1.0, 'gamma': 1.0, 'b': float('nan')}}, 'calibration.power.b'),
        ({'power': {'a': 1.0, 'gamma': 1.0}}, 'b is missing'),
        ({'model_sha256': 'abc'}, 'no sha256'),
        ({'settings': {'x': [1]}}, 'not a plain setting'),
    ],
)
def test_wrong_content_is_named(tmp_path, values, problem):
    path = changed(tmp_path / 'bad.yaml', **values)
    with pytest.raises(ModelError, match=problem) as caught:
        read_calibration(path)
    assert 'bad.yaml' in str(caught.value)


def test_unknown_key_inside_is_named(tmp_path):
    bag = {'name': 'a', 'sha256': DIGEST, 'frames': 1, 'pixels': 2, 'weather': 'rain'}
    provenance = {'bags': [bag], 'package_version': '1', 'created_utc': ''}
    path = changed(tmp_path / 'bad.yaml', provenance=provenance)
    with pytest.raises(ModelError, match=r'provenance.bags\[0\]: unknown key weather'):
        read_calibration(path)


@pytest.mark.parametrize(
    ('data', 'problem'),
    [
        (b'', 'wants a mapping'),
        (b'a: [', 'not readable'),
        (b'\xff\xfe\xfa', 'not readable'),
        (b'[' * 60_000, 'not readable'),
        (b'- ' * 30_000, 'not readable'),
        (b'a: &x [1]\nb: *x\n', 'aliases'),
        (b'!!python/object/apply:os.getcwd []', 'not readable'),
        (b'#' * (MAX_BYTES + 1), 'at most'),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, data, problem):
    path = tmp_path / 'bad.yaml'
    path.write_bytes(data)
    with pytest.raises(ModelError, match=problem):
        read_calibration(path)


def test_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ModelError, match=r'no\.yaml'):
        read_calibration(tmp_path / 'no.yaml')


@pytest.mark.parametrize(
    'changes',
    [
        {'settings': {'x': np.float32(1.0)}},
        {'power': None},
        {'model_sha256': 'x'},
        {'schema': 7},
        {'score': 'x' * MAX_BYTES},
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, changes):
    path = tmp_path / 'kept.yaml'
    path.write_text('old')
    with pytest.raises(ModelError, match=r'kept\.yaml'):
        write_calibration(calibration(**changes), path)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_failing_rename_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / 'kept.yaml'
    path.write_text('old')

    def refuse(self, target):
        raise OSError('disk full')

    monkeypatch.setattr(Path, 'replace', refuse)
    with pytest.raises(ModelError, match='disk full'):
        write_calibration(calibration(), path)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_figures_of_a_fit_are_the_figures_of_a_file():
    figures = CalibrationFigures(10, 0.7, 0.9, 0.02, 5.0, 0.1, 0.3)
    assert FiguresSpec(**asdict(figures)).beyond_5_sigma == 0.02


def test_calibration_of_another_model_is_refused():
    made = calibration(model='net', model_sha256=DIGEST)
    made.check_model('net', DIGEST)
    with pytest.raises(ModelError, match='calibrates net, not sgbm'):
        made.check_model('sgbm', DIGEST)
    with pytest.raises(ModelError, match='calibrate it again'):
        made.check_model('net', DIGEST[::-1])
