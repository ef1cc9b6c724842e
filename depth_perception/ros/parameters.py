"""Bind a settings dataclass to ROS parameters."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any, Generic, TypeVar

from depth_perception.errors import SettingsError
from depth_perception.settings import Declaration, declarations_of
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

S = TypeVar('S')


def descriptor_from_declaration(declared: Declaration) -> ParameterDescriptor:
    """Return the ROS description of one setting, with its range or choices where it has them.

    Typing is declared dynamic so that a wrong type reaches our own check, which says what to
    write; ROS would say "expected '3' got '2'".
    """
    spec = declared.setting
    unit = f' [{spec.unit}]' if spec.unit else ''
    message = ParameterDescriptor(
        description=spec.description + unit, read_only=not spec.live, dynamic_typing=True
    )
    if spec.choices:
        message.additional_constraints = 'one of: ' + ', '.join(spec.choices)
    if spec.low is None or spec.high is None:
        return message
    if declared.kind is float:
        message.floating_point_range = [
            FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))
        ]
    elif declared.kind is int:
        message.integer_range = [
            IntegerRange(
                from_value=int(spec.low), to_value=int(spec.high), step=int(spec.step or 0)
            )
        ]
    return message


def unknown_parameters(node: Node) -> dict[str, str]:
    """Return the parameters given to `node` that it does not declare, each with a hint.

    ROS ignores such values without a word, so a misspelt name would go unnoticed.
    """
    given = getattr(node, '_parameter_overrides', {})
    unknown = {}
    for name in given:
        if node.has_parameter(name) or name.startswith('qos_overrides.'):
            continue
        close = difflib.get_close_matches(name, node.get_parameters_by_prefix(''), n=1)
        unknown[name] = f'did you mean {close[0]}?' if close else 'see `ros2 param list`'
    return unknown


class ParameterBinding(Generic[S]):
    """Keeps `current`, an immutable snapshot of the node's parameters, always valid.

    A change is checked in the on-set callback, which has no side effect, and taken over only
    once ROS has accepted it, so a change that another callback vetoes never reaches `current`.

    Attributes:
        current: The settings in force; replaced as a whole, so a reader keeps a consistent set.

    Args:
        node: Node to declare the parameters on.
        cls: Settings dataclass, made of `depth_perception.settings.setting` fields.

    Raises:
        SettingsError: If a value given at start has a wrong type, is out of range, or
            contradicts another one.
    """

    def __init__(self, node: Node, cls: type[S]) -> None:
        self._node = node
        self._declared = declarations_of(cls)
        values = {declared.field: self._declare(declared) for declared in self._declared.values()}
        self.current: S = cls(**values)
        self._stale = False
        node.add_on_set_parameters_callback(self._check)
        add_post_set = getattr(node, 'add_post_set_parameters_callback', None)
        self._has_post_set = add_post_set is not None
        if add_post_set is not None:
            add_post_set(self._take_over)

    def refresh(self) -> None:
        """Take over accepted changes where rclpy cannot announce them (Humble)."""
        if not self._stale:
            return
        self._stale = False
        self._take_over(self._node.get_parameters(list(self._declared)))

    def _declare(self, declared: Declaration) -> Any:
        name = declared.parameter
        try:
            parameter = self._node.declare_parameter(
                name, declared.default, descriptor_from_declaration(declared)
            )
        except InvalidParameterValueException as error:
            given = getattr(self._node, '_parameter_overrides', {}).get(name)
            if given is not None:
                declared.setting.check(name, given.value)  # says it in this package's words
            raise SettingsError(f'{name}: {error}') from error
        return parameter.value

    def _candidate(self, changes: list[Any]) -> S:
        values = {
            self._declared[change.name].field: change.value
            for change in changes
            if change.name in self._declared
        }
        return dataclasses.replace(self.current, **values)  # type: ignore[type-var]

    def _check(self, changes: list[Any]) -> SetParametersResult:
        unset = [c.name for c in changes if c.type_ is Parameter.Type.NOT_SET]
        if any(name in self._declared for name in unset):
            return SetParametersResult(successful=False, reason=f'{unset} cannot be unset')
        try:
            self._candidate(changes)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._stale = not self._has_post_set
        return SetParametersResult(successful=True)

    def _take_over(self, changes: list[Any]) -> None:
        self.current = self._candidate(changes)
