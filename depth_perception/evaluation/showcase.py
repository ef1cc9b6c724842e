"""Choose the best, the median and the worst frame, and make them once more to look at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

from depth_perception.core.estimate import DepthEstimate
from depth_perception.errors import CalibrationError, DepthPerceptionError, FrameError
from depth_perception.evaluation.overview import overview_of
from depth_perception.evaluation.report_pictures import frame_pictures
from depth_perception.evaluation.session import Served, Session
from depth_perception.evaluation.truth import Truth
from depth_perception.evaluation.units import Unit
from depth_perception.inference.images import pixels_in
from depth_perception.messages.frames import MessageSet
import numpy as np

RANKING = ('online/abs_rel', 'online/epe_px', 'online/valid_share')
"""What frames are ranked by: the first of these that is known. Of the last, more is better."""
RANKS = ('best', 'median', 'worst')
MAX_GROUPS = 4
"""With more cameras than this, the three frames are chosen among all of them together."""
OVERVIEW = 'overview.jpg'
"""One picture of a median frame and of all models."""
WARM_UP = 8
"""Frames served before one that is shown, where the past is part of the estimate."""


@dataclass(frozen=True)
class Choice:
    """One frame to show.

    Attributes:
        rank: 'best', 'median' or 'worst'.
        metric: What it was ranked by.
        value: Its value, the mean over the models.
        stamp_ns: Stamp of the frame [ns].
        group: Number of the camera it belongs to.
    """

    rank: str
    metric: str
    value: float
    stamp_ns: int
    group: int


def show_frames(units: Sequence[Unit], runs: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """Return the pictures by file name, and tell the runs of theirs.

    Args:
        units: The work.
        runs: Their runs, in the same order; 'pictures' of each is filled.
    """
    groups = _groups(units, runs)
    files: dict[str, bytes] = {}
    for number, choices in _by_group(_choices([[r for _, r in g] for g in groups])).items():
        try:
            _show_group(number, groups[number], choices, files)
        except DepthPerceptionError as error:
            for _, run in groups[number]:
                run['warnings'].append(f'no pictures: {error}')
    return files


Group = list[tuple[Unit, dict[str, Any]]]


def _groups(units: Sequence[Unit], runs: Sequence[dict[str, Any]]) -> list[Group]:
    """Return the units that saw the same images, with their runs, where frames were served."""
    found: dict[tuple[str, str], Group] = {}
    for unit, run in zip(units, runs, strict=True):
        if run['frames_out']:
            found.setdefault((unit.bag_name, unit.camera.image), []).append((unit, run))
    return list(found.values())


def _choices(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[Choice]:
    if len(groups) <= MAX_GROUPS:
        return [choice for n, runs in enumerate(groups) for choice in _ranked({n: _values(runs)})]
    return _ranked({n: _values(runs) for n, runs in enumerate(groups)})


def _values(runs: Sequence[Mapping[str, Any]]) -> tuple[str, dict[int, float]]:
    """Return what frames are ranked by, and stamp -> mean over the models that know it."""
    for metric in RANKING:
        by_stamp: dict[int, list[float]] = {}
        for run in runs:
            for stamp_ns, value in zip(
                run['stamps_ns'], run['columns'].get(metric, ()), strict=False
            ):
                if math.isfinite(value):
                    by_stamp.setdefault(stamp_ns, []).append(value)
        full = max((len(values) for values in by_stamp.values()), default=0)
        if full:  # frames that every model has served come first
            return metric, {
                stamp: sum(values) / len(values)
                for stamp, values in by_stamp.items()
                if len(values) == full
            }
    return RANKING[-1], {}


def _ranked(values: Mapping[int, tuple[str, dict[int, float]]]) -> list[Choice]:
    """Return the best, median and worst frame of some groups together."""
    metrics = [metric for metric, found in values.values() if found]
    if not metrics:
        return []
    metric = min(metrics, key=RANKING.index)
    every = sorted(
        (value, group, stamp)
        for group, (name, found) in values.items()
        if name == metric
        for stamp, value in found.items()
    )
    if metric == RANKING[-1]:
        every.reverse()
    places = dict(zip(RANKS, (0, (len(every) - 1) // 2, len(every) - 1), strict=True))
    taken: set[int] = set()
    choices = []
    for rank, place in places.items():
        if place not in taken:
            taken.add(place)
            value, group, stamp = every[place]
            choices.append(Choice(rank, metric, value, stamp, group))
    return choices


def _by_group(choices: Sequence[Choice]) -> dict[int, list[Choice]]:
    found: dict[int, list[Choice]] = {}
    for choice in choices:
        found.setdefault(choice.group, []).append(choice)
    return found


def _show_group(
    number: int, group: Group, choices: Sequence[Choice], files: dict[str, bytes]
) -> None:
    estimates: dict[int, dict[str, DepthEstimate]] = {c.stamp_ns: {} for c in choices}
    images: dict[int, Any] = {}
    truths: dict[int, Truth | None] = {}
    for unit, run in group:
        for served, truth in _served(unit, [choice.stamp_ns for choice in choices]):
            stamp_ns = served.frame.stamp_ns
            estimates[stamp_ns][run['model']] = served.estimate
            images[stamp_ns] = pixels_in('rgb', served.frame.image)
            truths[stamp_ns] = truths.get(stamp_ns) or truth
    for choice in choices:
        stamp_ns = choice.stamp_ns
        if not estimates[stamp_ns]:
            continue
        made = frame_pictures(images[stamp_ns], truths[stamp_ns], estimates[stamp_ns])
        if choice.rank == 'median' or OVERVIEW not in files:
            files[OVERVIEW] = overview_of(made)
        stem = f'pictures/{number}-{choice.rank}'
        shared = {name: f'{stem}-{name}.jpg' for name in made.shared}
        files.update({shared[name]: data for name, data in made.shared.items()})
        for index, (_, run) in enumerate(group):
            own = made.of_model.get(run['model'])
            if own is None:
                continue
            names = {name: f'{stem}-{index}-{name}.jpg' for name in own}
            files.update({names[name]: data for name, data in own.items()})
            run['pictures'].append(
                {
                    'rank': choice.rank,
                    'frame': run['stamps_ns'].index(stamp_ns),
                    'stamp_ns': stamp_ns,
                    'metric': choice.metric,
                    'value': choice.value,
                    'files': {**shared, **names},
                    'scales': made.scales,
                }
            )


def _served(unit: Unit, stamps_ns: Sequence[int]) -> Iterator[tuple[Served, Truth | None]]:
    """Serve the frames of some stamps, each once, with what the estimator must have seen before.

    A recording whose clock jumped back may have a stamp twice: the first one is shown.
    """
    wanted = set(stamps_ns)
    with Session(unit) as session:
        warm_up = WARM_UP if session.remembers else 0
        before: list[MessageSet] = []
        for messages in session.sets():
            if not wanted:
                return
            if messages.stamp_ns not in wanted:
                before = [*before, messages][-warm_up:] if warm_up else []
                continue
            wanted.discard(messages.stamp_ns)
            try:
                for earlier in before:
                    session.server.serve(earlier)
                served = session.server.serve(messages)
            except DepthPerceptionError:
                continue
            yield served, _truth(session, served)


def _truth(session: Session, served: Served) -> Truth | None:
    try:
        truth = session.truth_of(served)
    except (FrameError, CalibrationError):
        return None
    return truth if truth is not None and np.isfinite(truth.depth).any() else None
