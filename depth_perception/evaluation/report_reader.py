"""Read report.json of an evaluation, which may come from anywhere, without trusting it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from depth_perception.errors import RecordingError
import numpy as np
from numpy.typing import NDArray

SCHEMA = 'depth_perception.evaluation'
VERSION = 1
NOT_INDEPENDENT = 'IS BOTH REFERENCE AND GROUND TRUTH'  # of a topic, in a warning
MAX_BYTES = 512 << 20
_ABSURD = 1e100  # sums of such numbers are not finite


@dataclass(frozen=True)
class ReportedRun:
    """The frames of one model on one camera of one bag.

    Attributes:
        model: Id of the model.
        bag: Name of the bag.
        content: What tells bags apart: its hash, or its name where there is none.
        camera: Topic of the (left) image.
        stamps_ns: Stamp of every published frame [ns].
        columns: 'LABEL/NAME' to one value per frame, NaN where it is not defined.
        truth: Kind and topic of the ground truth.
        calibration: Size, focal lengths and the like.
    """

    model: str
    bag: str
    content: str
    camera: str
    stamps_ns: tuple[int, ...]
    columns: Mapping[str, NDArray[np.float64]]
    truth: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A report.json that was found sound.

    Attributes:
        name: Its file, for messages.
        models: Ids of the models, in the order of the report.
        runs: All runs that have frames, in the order of the report.
        options: How it was measured.
        provenance: Versions and machine.
    """

    name: str
    models: tuple[str, ...]
    runs: tuple[ReportedRun, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def runs_of(self, model: str) -> list[ReportedRun]:
        """Return the runs of one model, in order."""
        return [run for run in self.runs if run.model == model]


def read_report(path: Path) -> Report:
    """Return the report in a file, or in the folder that `evaluate --out` wrote.

    Raises:
        RecordingError: If it is missing, too large, no report, of another version, or damaged.
    """
    path = path / 'report.json' if path.is_dir() else path
    try:
        if not path.is_file():
            raise RecordingError(f'{path} is no file; wanted the report.json of `evaluate`')
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RecordingError(f'{path} has {size} bytes; at most {MAX_BYTES} are read')
        text = path.read_bytes()[: MAX_BYTES + 1].decode('utf-8')
        content = json.loads(text, parse_constant=lambda _: None)
    except OSError as error:
        raise RecordingError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f'{path} is no JSON: {str(error)[:200]}') from None
    return report_from(content, str(path))


def report_from(content: Any, name: str) -> Report:
    """Return the report that parsed JSON holds.

    Args:
        content: What the file holds.
        name: What messages call it.

    Raises:
        RecordingError: If it is no report, of another version, or damaged.
    """
    if not isinstance(content, Mapping) or content.get('schema') != SCHEMA:
        raise RecordingError(f'{name} is no report of `evaluate`: its schema is not {SCHEMA}')
    version = content.get('version')
    if version != VERSION or isinstance(version, bool):
        raise RecordingError(
            f'{name} has version {version!r} of {SCHEMA}; this program reads version {VERSION}'
        )
    place = _Place(name)
    hashes = _hashes(place, content)
    runs = tuple(
        _run(_Place(f'{name}: runs[{i}]'), part, hashes)
        for i, part in enumerate(place.entries(content, 'runs'))
        if part.get('stamps_ns')  # not if it failed before its first frame
    )
    listed = [place.text(part, 'id') for part in place.entries(content, 'models')]
    models = tuple(dict.fromkeys([*listed, *(run.model for run in runs)]))
    options, provenance = (place.mapping(content, key) for key in ('options', 'provenance'))
    return Report(name, models, runs, options, provenance)


class _Place:
    """Gets entries of the types they must have, or says where they are not."""

    def __init__(self, name: str) -> None:
        self._name = name

    def refuse(self, what: str) -> RecordingError:
        return RecordingError(f'{self._name} is damaged: {what}')

    def text(self, part: Mapping[str, Any], key: str) -> str:
        value = part.get(key)
        if not isinstance(value, str) or not value:
            raise self.refuse(f'{key} is {str(value)[:80]!r}, not a text')
        return value

    def mapping(self, part: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = part.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.refuse(f'{key} holds no names')
        return value

    def entries(self, part: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
        value = part.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.refuse(f'{key} is no list')
        for entry in value:
            if not isinstance(entry, Mapping):
                raise self.refuse(f'{key} has an entry without names')
            yield entry

    def stamps(self, part: Mapping[str, Any]) -> tuple[int, ...]:
        value = part.get('stamps_ns')
        if not isinstance(value, list) or not all(type(stamp) is int for stamp in value):
            raise self.refuse('stamps_ns are no whole numbers')
        return tuple(value)

    def column(self, key: str, value: Any, frames: int) -> NDArray[np.float64]:
        numbers = isinstance(value, list) and all(
            one is None or type(one) in (int, float) for one in value
        )
        if not numbers or len(value) != frames:
            raise self.refuse(f'column {key[:80]!r} is no list of {frames} numbers')
        try:
            column = np.array(value, dtype=np.float64)
        except OverflowError:
            raise self.refuse(f'column {key[:80]!r} has a number without bound') from None
        column[~(np.abs(column) < _ABSURD)] = np.nan
        return column


def _hashes(place: _Place, content: Mapping[str, Any]) -> dict[str, str]:
    """Return bag -> what tells it apart from others."""
    hashes: dict[str, str] = {}
    for bag in place.entries(content, 'bags'):
        name = place.text(bag, 'name')
        sha256 = bag.get('sha256')
        found = f'sha256:{sha256}' if isinstance(sha256, str) and sha256 else f'name:{name}'
        if hashes.setdefault(name, found) != found:
            raise place.refuse(f'two bags are called {name!r}')
    return hashes


def _run(place: _Place, part: Mapping[str, Any], hashes: Mapping[str, str]) -> ReportedRun:
    bag = place.text(part, 'bag')
    stamps = place.stamps(part)
    columns = {
        str(key): place.column(str(key), value, len(stamps))
        for key, value in place.mapping(part, 'columns').items()
    }
    return ReportedRun(
        model=place.text(part, 'model'),
        bag=bag,
        content=hashes.get(bag, f'name:{bag}'),
        camera=place.text(part, 'camera'),
        stamps_ns=stamps,
        columns=MappingProxyType(columns),
        truth=place.mapping(part, 'truth'),
        calibration=place.mapping(part, 'calibration'),
    )
