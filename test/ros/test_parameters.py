"""The binding of settings to ROS parameters, on a real node."""

from dataclasses import dataclass

from depth_perception.errors import SettingsError
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.ros.parameters import (
    descriptor_from_declaration,
    ParameterBinding,
    unknown_parameters,
)
from depth_perception.settings import Checked, declarations_of, setting
import pytest
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

pytestmark = pytest.mark.ros


@dataclass(frozen=True, kw_only=True)
class Little(Checked):
    """A range, a choice, a step, and a rule for two fields."""

    near__m: float = setting(0.5, 'Near.', unit='m', low=0.1, high=9.0, live=True)
    far__m: float = setting(4.0, 'Far.', unit='m', low=0.1, high=9.0, live=True)
    block: int = setting(5, 'Block.', low=1, high=21, step=2, live=True)
    mode: str = setting('hh', 'Mode.', choices=('hh', '3way'))

    def check_together(self):
        if self.near__m >= self.far__m:
            raise SettingsError(f'near.m ({self.near__m}) must be below far.m ({self.far__m})')


@pytest.fixture
def make_node(context):
    nodes = []

    def make(**overrides):
        given = [Parameter(k.replace('__', '.'), value=v) for k, v in overrides.items()]
        nodes.append(Node('n', context=context, parameter_overrides=given))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def change(node, **values):
    changes = [Parameter(k.replace('__', '.'), value=v) for k, v in values.items()]
    result = node.set_parameters_atomically(changes)
    return result.successful, result.reason


def test_values_given_at_start_are_taken(make_node):
    binding = ParameterBinding(make_node(near__m=1.5, mode='3way'), Little)
    assert (binding.current.near__m, binding.current.mode, binding.current.block) == (
        1.5,
        '3way',
        5,
    )


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('near__m', 1, r'near\.m: wants float, got 1 \(write 1\.0\)'),
        ('near__m', 'x', r"near\.m: wants float, got 'x'"),
        ('near__m', 20.0, r'near\.m: 20\.0 is above its range \[0\.1, 9\.0\] m'),
        ('near__m', float('nan'), r'near\.m: nan is not finite'),
        ('near__m', 5.0, r'near\.m \(5\.0\) must be below far\.m \(4\.0\)'),
        ('block', 4, r'block: 4 is not in steps of 2 from 1'),
        ('mode', 'sgbm', r"mode: 'sgbm' is not one of hh, 3way"),
    ],
)
def test_wrong_values_at_start_are_explained(make_node, name, value, reason):
    with pytest.raises(SettingsError, match=reason):
        ParameterBinding(make_node(**{name: value}), Little)


def test_a_change_replaces_the_whole_snapshot(make_node):
    node = make_node()
    binding = ParameterBinding(node, Little)
    before = binding.current
    assert change(node, near__m=2.0, far__m=8.0) == (True, '')
    assert (before.near__m, before.far__m) == (0.5, 4.0)
    assert (binding.current.near__m, binding.current.far__m) == (2.0, 8.0)


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'near__m': 4.5}, 'near.m (4.5) must be below far.m (4.0)'),
        ({'near__m': 4.5, 'far__m': 4.2}, 'near.m (4.5) must be below far.m (4.2)'),
        ({'mode': '3way'}, 'read-only'),
        ({'near__m': 10.0}, 'near.m'),
        ({'block': 4}, 'block'),
        ({'near__m': 1}, 'near.m: wants float, got 1 (write 1.0)'),
    ],
)
def test_a_wrong_change_is_refused_with_the_reason(make_node, values, reason):
    node = make_node()
    binding = ParameterBinding(node, Little)
    before = binding.current
    accepted, said = change(node, **values)
    assert not accepted
    assert reason in said
    assert binding.current is before


def test_a_change_that_somebody_else_vetoes_is_not_taken_over(make_node):
    node = make_node()
    binding = ParameterBinding(node, Little)
    node.add_on_set_parameters_callback(
        lambda _: SetParametersResult(successful=False, reason='veto')
    )
    assert change(node, near__m=2.0) == (False, 'veto')
    assert binding.current.near__m == 0.5


def test_without_post_set_callbacks_changes_are_taken_over_by_refresh(make_node):
    """Humble has no post-set callback."""
    node = make_node()
    node.add_post_set_parameters_callback = None
    binding = ParameterBinding(node, Little)
    assert change(node, near__m=2.0) == (True, '')
    assert binding.current.near__m == 0.5
    binding.refresh()
    assert binding.current.near__m == 2.0


@pytest.mark.parametrize('settings_class', [MonoSettings, StereoSettings])
def test_every_setting_of_the_nodes_is_declared_with_its_limits(make_node, settings_class):
    node = make_node()
    binding = ParameterBinding(node, settings_class)
    assert binding.current == settings_class()
    for name, declared in declarations_of(settings_class).items():
        described = node.describe_parameter(name)
        spec = declared.setting
        assert described.read_only is not spec.live
        ranges = [*described.floating_point_range, *described.integer_range]
        limits = [] if spec.low is None else [(spec.low, spec.high)]
        assert [(r.from_value, r.to_value) for r in ranges] == limits


def test_descriptor_says_unit_and_choices():
    declared = declarations_of(Little)
    assert descriptor_from_declaration(declared['near.m']).description == 'Near. [m]'
    mode = descriptor_from_declaration(declared['mode'])
    assert mode.additional_constraints == 'one of: hh, 3way'
    assert descriptor_from_declaration(declared['block']).integer_range[0].step == 2


def test_misspelt_parameters_are_found(make_node):
    node = make_node(nearm=1.0, use_sim_time=False)
    ParameterBinding(node, Little)
    assert unknown_parameters(node) == {'nearm': 'did you mean near.m?'}
