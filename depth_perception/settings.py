"""Declare a setting once; read it from ROS parameters, YAML or the command line.

A settings class is a frozen dataclass whose fields are made by `setting`. Field names use two
underscores where the ROS parameter has a dot: `filters__speckle_area_px` is the parameter
`filters.speckle_area_px`.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Any, get_type_hints, TypeVar

from depth_perception.errors import SettingsError

T = TypeVar('T')
Scalar = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Setting:
    """What one setting accepts: all that a ParameterDescriptor or a --help line needs."""

    description: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    step: int | None = None
    choices: tuple[str, ...] = ()
    live: bool = False  # may change while the node runs

    def check(self, name: str, value: Scalar) -> None:
        """Check that this setting accepts `value`.

        Raises:
            SettingsError: Naming the setting, the value and the limit it breaks.
        """
        if self.choices and value not in self.choices:
            raise SettingsError(f'{name}: {value!r} is not one of {", ".join(self.choices)}')
        if isinstance(value, str):
            return
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingsError(f'{name}: {value} is not finite')
        limits = f'[{self.low}, {self.high}] {self.unit}'.rstrip()
        if self.low is not None and value < self.low:
            raise SettingsError(f'{name}: {value} is below its range {limits}')
        if self.high is not None and value > self.high:
            raise SettingsError(f'{name}: {value} is above its range {limits}')
        if self.step is not None and (value - (self.low or 0)) % self.step != 0:
            raise SettingsError(
                f'{name}: {value} is not in steps of {self.step} from {self.low or 0}'
            )


def setting(default: Scalar, description: str, **limits: Any) -> Any:
    """Return a dataclass field that carries its Setting."""
    return dataclasses.field(default=default, metadata={'setting': Setting(description, **limits)})


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One setting of a settings class: its names, type, default and limits."""

    field: str
    parameter: str
    kind: type[Any]
    default: Scalar
    setting: Setting


def declarations_of(cls: type[Any]) -> dict[str, Declaration]:
    """Return parameter name -> Declaration, in the order of declaration."""
    hints = get_type_hints(cls)
    declarations = {}
    for field in dataclasses.fields(cls):
        parameter = field.name.replace('__', '.')
        declarations[parameter] = Declaration(
            field.name,
            parameter,
            hints[field.name],
            field.default,  # type: ignore[arg-type]
            field.metadata['setting'],
        )
    return declarations


class Checked:
    """Base of settings dataclasses: checks every field when an instance is made."""

    def __post_init__(self) -> None:
        for name, declared in declarations_of(type(self)).items():
            value = getattr(self, declared.field)
            if type(value) is not declared.kind:
                hint = ''
                if declared.kind is float and type(value) is int:
                    hint = f' (write {value}.0)'
                raise SettingsError(f'{name}: wants {declared.kind.__name__}, got {value!r}{hint}')
            declared.setting.check(name, value)
        self.check_together()

    def check_together(self) -> None:
        """Check rules that involve more than one field.

        Raises:
            SettingsError: Naming the fields that contradict each other.
        """


def settings_from_mapping(cls: type[T], values: dict[str, Any]) -> T:
    """Return settings with `values` (parameter name -> value) in place of the defaults.

    Raises:
        SettingsError: Naming unknown parameters, or the first value that is not accepted.
    """
    known = declarations_of(cls)
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise SettingsError(
            f'{cls.__name__}: unknown settings {", ".join(unknown)}; known are {", ".join(known)}'
        )
    return cls(**{known[name].field: value for name, value in values.items()})


def settings_with(settings: T, assignments: Sequence[str]) -> T:
    """Return settings with NAME=VALUE texts of the command line applied.

    Raises:
        SettingsError: Naming what is unknown or not accepted.
    """
    known = declarations_of(type(settings))
    values: dict[str, Scalar] = {
        name: getattr(settings, declared.field) for name, declared in known.items()
    }
    for assignment in assignments:
        name, equals, text = assignment.partition('=')
        if not equals:
            raise SettingsError(f'--set wants NAME=VALUE, got {assignment!r}')
        if name not in known:
            raise SettingsError(f'--set: unknown setting {name}; known are {", ".join(known)}')
        values[name] = _parsed(text, known[name].kind)
    return settings_from_mapping(type(settings), values)


def _parsed(text: str, kind: type[Any]) -> Scalar:
    """Return the value of a text; what does not parse is left for the settings to refuse."""
    import yaml

    if kind is str:
        return text
    try:
        value: Any = yaml.safe_load(text)
        return float(value) if kind is float and type(value) is int else value
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return text


def reference_table(cls: type[Any]) -> str:
    """Return the Markdown table of all settings of `cls`."""
    rows = ['| parameter | type | default | range | live | meaning |', '|---|---|---|---|---|---|']
    for name, declared in declarations_of(cls).items():
        spec = declared.setting
        limits = ', '.join(f'`{choice}`' for choice in spec.choices)
        if spec.low is not None and spec.high is not None:
            limits = f'{spec.low:g} to {spec.high:g}' + (f' step {spec.step}' if spec.step else '')
        unit = f' [{spec.unit}]' if spec.unit else ''
        live = 'yes' if spec.live else 'no'
        shown = repr(declared.default).lower() if declared.kind is bool else declared.default
        shown = "''" if shown == '' else shown
        rows.append(
            f'| `{name}` | {declared.kind.__name__} | `{shown}` | {limits} | {live} '
            f'| {spec.description}{unit} |'
        )
    return '\n'.join(rows)
