"""Frames that two models were both evaluated on, and whether they were measured alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.report_reader import Report, ReportedRun
import numpy as np
from numpy.typing import NDArray

Place = tuple[str, str]  # content of the bag, camera
_DECISIVE_OPTIONS = ('protocol', 'crop', 'min_m', 'max_m', 'cap_m', 'clamp')
_NAMED = 3


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        report: Where its figures are.
        model: Id of the model there.
    """

    report: Report
    model: str

    def series(self) -> dict[Place, Series]:
        """Return the frames of the model by bag and camera, in the order of the report."""
        runs: dict[Place, list[ReportedRun]] = {}
        for run in self.report.runs_of(self.model):
            runs.setdefault((run.content, run.camera), []).append(run)
        return {place: Series(parts) for place, parts in runs.items()}


class Series:
    """All frames of one model on one camera of one bag, even if the bag was given twice."""

    def __init__(self, runs: Sequence[ReportedRun]) -> None:
        self._runs = runs
        self.name = f'{runs[0].bag} {runs[0].camera}'
        self.truth, self.calibration = runs[0].truth, runs[0].calibration
        self.stamps_ns = [stamp for run in runs for stamp in run.stamps_ns]

    @property
    def keys(self) -> set[str]:
        """All 'LABEL/NAME' there are."""
        return {key for run in self._runs for key in run.columns}

    def numbered(self) -> dict[tuple[int, int], int]:
        """Return (stamp, how often it was there before) -> position; clocks may jump back."""
        seen: dict[int, int] = {}
        places: dict[tuple[int, int], int] = {}
        for position, stamp_ns in enumerate(self.stamps_ns):
            before = seen.get(stamp_ns, 0)
            places[stamp_ns, before] = position
            seen[stamp_ns] = before + 1
        return places

    def column(self, key: str) -> NDArray[np.float64]:
        """Return (n,) values, NaN where a run does not have that figure."""
        parts = [run.columns.get(key, np.full(len(run.stamps_ns), math.nan)) for run in self._runs]
        return np.concatenate(parts)


@dataclass(frozen=True)
class _Match:
    a: Series
    b: Series
    in_a: NDArray[np.int64]
    in_b: NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """The frames that both sides have, place by place.

    Attributes:
        a, b: The two sides.
        only_a, only_b: (bag and camera, stamp [ns]) of the frames that only one side has.
        obstacles: Why the figures are not comparable; empty if they are.
    """

    a: Side
    b: Side
    only_a: Sequence[tuple[str, int]]
    only_b: Sequence[tuple[str, int]]
    obstacles: Sequence[str]
    _matches: Sequence[_Match] = field(repr=False, default=())

    @property
    def lengths(self) -> list[int]:
        """Number of pairs of each bag and camera."""
        return [match.in_a.size for match in self._matches]

    @property
    def count(self) -> int:
        """Number of pairs."""
        return sum(self.lengths)

    def figures(self) -> tuple[set[str], set[str]]:
        """Return the 'LABEL/NAME' that A has, and those that B has, on some pair."""
        return (
            {key for match in self._matches for key in match.a.keys},
            {key for match in self._matches for key in match.b.keys},
        )

    def values(self, key: str) -> NDArray[np.float64]:
        """Return (2, n) values of A and B, both NaN where one does not have the figure."""
        a = [match.a.column(key)[match.in_a] for match in self._matches]
        b = [match.b.column(key)[match.in_b] for match in self._matches]
        both = np.array([np.concatenate(a), np.concatenate(b)])
        both[:, ~np.isfinite(both).all(axis=0)] = math.nan
        return both


def pair_frames(a: Side, b: Side) -> Pairs:
    """Return the pairs of two sides.

    Raises:
        RecordingError: If they have no frame in common.
    """
    series_a, series_b = a.series(), b.series()
    matches, obstacles = [], _option_obstacles(a.report.options, b.report.options)
    only_a: list[tuple[str, int]] = []
    only_b: list[tuple[str, int]] = []
    for place in dict.fromkeys([*series_a, *series_b]):
        one, other = series_a.get(place), series_b.get(place)
        if one is None or other is None:
            only_a += [(one.name, stamp) for stamp in one.stamps_ns] if one else []
            only_b += [(other.name, stamp) for stamp in other.stamps_ns] if other else []
            continue
        in_a, in_b = one.numbered(), other.numbered()
        common = [key for key in in_a if key in in_b]
        only_a += [(one.name, key[0]) for key in in_a if key not in in_b]
        only_b += [(other.name, key[0]) for key in in_b if key not in in_a]
        if common:
            index_a = np.array([in_a[key] for key in common], np.int64)
            index_b = np.array([in_b[key] for key in common], np.int64)
            matches.append(_Match(one, other, index_a, index_b))
            obstacles += _place_obstacles(one, other)
    if not matches:
        raise RecordingError(_nothing_in_common(a, b, series_a, series_b))
    return Pairs(a, b, only_a, only_b, obstacles, matches)


def _nothing_in_common(
    a: Side, b: Side, of_a: Mapping[Place, Series], of_b: Mapping[Place, Series]
) -> str:
    names_a, names_b = (
        ', '.join([one.name for one in series.values()][:_NAMED]) or 'nothing'
        for series in (of_a, of_b)
    )
    same = {one.name for one in of_a.values()} & {one.name for one in of_b.values()}
    hint = '; bags of one name differ in content' if same and not set(of_a) & set(of_b) else ''
    return (
        f'{a.model} of {a.report.name} and {b.model} of {b.report.name} have no frame in common: '
        f'{names_a} against {names_b}{hint}'
    )


def _option_obstacles(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [
        f'{name} is {_shown(a.get(name))} for A but {_shown(b.get(name))} for B'
        for name in _DECISIVE_OPTIONS
        if a.get(name) != b.get(name)
    ]


def _place_obstacles(a: Series, b: Series) -> list[str]:
    """Return in what truth and calibration differ; what one side does not tell is passed over."""
    parts = (('truth', a.truth, b.truth), ('calibration', a.calibration, b.calibration))
    return [
        f'{a.name}: {what} {name} is {_shown(of_a[name])} for A but {_shown(of_b[name])} for B'
        for what, of_a, of_b in parts
        for name in of_a
        if None not in (of_a[name], of_b.get(name)) and of_a[name] != of_b[name]
    ]


def _shown(value: Any) -> str:
    return 'not set' if value is None else str(value)[:80]
