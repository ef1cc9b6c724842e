"""Facts of the doctor as a JSON file, and back; nothing in such a file is trusted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
import types
from typing import Any, get_args, get_origin, get_type_hints, Union

from depth_perception.doctor.facts import Facts, FACTS_SCHEMA
from depth_perception.errors import RecordingError

_MAX_BYTES = 64 * 2**20


def text_of_facts(facts: Facts) -> str:
    """Return facts as JSON; NaN is written as null."""
    return json.dumps(_plain(dataclasses.asdict(facts)), indent=1, allow_nan=False)


def read_facts(path: Path) -> Facts:
    """Return the facts of a file.

    Raises:
        RecordingError: If it cannot be read, or was not written by this version's doctor.
    """
    try:
        with path.open('rb') as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RecordingError(f'{path}: {error.strerror}') from error
    if len(data) > _MAX_BYTES:
        raise RecordingError(f'{path} is larger than {_MAX_BYTES >> 20} MiB')
    try:
        content = json.loads(data)
        schema = content['schema']
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordingError(f'{path} holds no facts of the doctor: {error!r}') from error
    if schema != FACTS_SCHEMA:
        raise RecordingError(f'{path} has schema {schema!r}, wanted {FACTS_SCHEMA}')
    try:
        facts: Facts = _built(Facts, content)
    except RecordingError as error:
        raise RecordingError(f'{path}: {error}') from error
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value != value:  # noqa: PLR0124
        return None
    if isinstance(value, float) and value in (float('inf'), float('-inf')):
        return 1e308 if value > 0 else -1e308
    return value


def _built(kind: Any, value: Any) -> Any:
    """Return `value`, as json.loads gives it, as an instance of an annotated type."""
    origin, inner = get_origin(kind), get_args(kind)
    result = value
    if origin in {Union, types.UnionType}:
        result = None if value is None else _built(inner[0], value)
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        result = _record(kind, value)
    elif origin is tuple and isinstance(value, list):
        result = tuple(_built(inner[0], item) for item in value)
    elif origin is dict and isinstance(value, dict):
        result = {key: _built(inner[1], item) for key, item in value.items()}
    elif kind is float and (value is None or type(value) in {int, float}):
        result = float('nan') if value is None else float(value)
    elif kind is not Any and type(value) is not kind:
        raise RecordingError(f'wanted {kind}, got {value!r:.80}')
    return result


def _record(kind: Any, values: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    try:
        return kind(**{name: _built(hints[name], item) for name, item in values.items()})
    except (KeyError, TypeError, OverflowError) as error:
        raise RecordingError(f'{kind.__name__} does not fit: {error}') from error
