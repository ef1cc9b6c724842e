"""Settings: types, ranges, rules across fields, and the table made from them."""

import dataclasses

from depth_perception.errors import SettingsError
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of, reference_table, settings_from_mapping
import pytest


def test_double_underscore_is_a_dot_in_the_parameter_name():
    settings = settings_from_mapping(StereoSettings, {'sgbm.block_size': 7})
    assert settings.sgbm__block_size == 7


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'max_depth_m': 20}, r'max_depth_m: wants float, got 20 \(write 20.0\)'),
        ({'max_depth_m': float('nan')}, 'not finite'),
        ({'max_depth_m': 1e6}, r'above its range \[0.1, 1000.0\] m'),
        ({'sgbm.block_size': 4}, 'steps of 2 from 1'),
        ({'sgbm.num_disparities': 20}, 'steps of 16'),
        ({'backend': 'tf'}, "'tf' is not one of auto, onnxruntime, tensorrt"),
        ({'max_dpth_m': 3.0}, 'unknown settings max_dpth_m; known are .*model'),
        ({'min_depth_m': 9.0, 'max_depth_m': 3.0}, r'min_depth_m \(9.0\) must be below'),
        ({'lazy': 1}, 'lazy: wants bool, got 1'),
    ],
)
def test_wrong_values_are_refused_with_what_is_wanted(values, words):
    with pytest.raises(SettingsError, match=words):
        settings_from_mapping(StereoSettings, values)


@pytest.mark.parametrize('cls', [MonoSettings, StereoSettings])
def test_every_number_has_both_bounds_and_every_setting_a_sentence(cls):
    cls()
    for declared in declarations_of(cls).values():
        assert declared.setting.description.endswith('.'), declared.parameter
        if declared.kind in (int, float):
            assert declared.setting.low is not None, declared.parameter
            assert declared.setting.high is not None, declared.parameter


def test_table_has_a_row_per_setting():
    table = reference_table(MonoSettings)
    assert len(table.splitlines()) == 2 + len(dataclasses.fields(MonoSettings))
    assert '| `max_depth_m` | float | `20.0` | 0.1 to 1000 | yes |' in table


@pytest.mark.parametrize('cls', [StereoSettings, MonoSettings])
@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'min_depth_m': 5.0, 'max_depth_m': 4.0}, 'min_depth_m'),
        ({'nav.min_range_m': 2.0, 'nav.max_range_m': 0.6}, 'nav.min_range_m'),
        ({'color.depth_near_m': 3.0, 'color.depth_far_m': 2.0}, 'color.depth_near_m'),
        ({'cloud.axes': 'body'}, 'cloud.frame_id'),
        ({'reference.extrinsics': '1 2 3'}, 'reference.extrinsics'),
    ],
)
def test_every_rule_about_several_settings_holds_in_both_nodes(cls, values, words):
    with pytest.raises(SettingsError, match=words):
        settings_from_mapping(cls, values)
