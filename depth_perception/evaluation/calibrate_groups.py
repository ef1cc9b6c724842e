"""What is held out together when a sigma curve is fitted: a bag, or a part of the only one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from depth_perception.core.calibration_fit import joined, ScoredErrors
from depth_perception.errors import CalibrationError
from depth_perception.evaluation.calibrate_unit import Collected
from depth_perception.evaluation.units import Unit
import numpy as np

TIME_BLOCKS = 5


@dataclass(frozen=True)
class Group:
    """What is held out together: a bag, or a part of the only one.

    Attributes:
        name: For people.
        bag: Name of the bag.
        bag_sha256: Hash of the bag.
        frames: Number of frames used.
        sample: Their pixels.
    """

    name: str
    bag: str
    bag_sha256: str
    frames: int
    sample: ScoredErrors


def groups_of(usable: Sequence[tuple[Unit, Collected]]) -> tuple[Group, ...]:
    """Return one group per bag (equal content is one bag), or parts of the only one.

    Raises:
        CalibrationError: If there is one bag with one frame.
    """
    by_bag: dict[str, list[tuple[Unit, Collected]]] = {}
    for unit, collected in usable:
        by_bag.setdefault(unit.bag_sha256, []).append((unit, collected))
    if len(by_bag) == 1:
        return _time_blocks(usable)
    return tuple(
        _group(members[0][0].bag_name, members[0][0], [one for _, one in members])
        for members in by_bag.values()
    )


def _group(name: str, unit: Unit, parts: Sequence[Collected]) -> Group:
    frames = [frame for part in parts for frame in part.frames]
    sample = joined([frame.scored(name) for frame in frames], name)
    return Group(name, unit.bag_name, unit.bag_sha256, len(frames), sample)


def _time_blocks(usable: Sequence[tuple[Unit, Collected]]) -> tuple[Group, ...]:
    unit = usable[0][0]
    frames = [frame for _, collected in usable for frame in collected.frames]
    stamps = sorted({frame.stamp_ns for frame in frames})
    blocks = min(TIME_BLOCKS, len(stamps))
    if blocks < 2:
        raise CalibrationError(
            f'{unit.bag_name} has one frame with truth; a calibration needs at least two bags, or '
            'one with several frames, to be tested on what it was not fitted on'
        )
    groups = []
    for index, part in enumerate(np.array_split(np.array(stamps), blocks)):
        within = set(part.tolist())
        chosen = [frame for frame in frames if frame.stamp_ns in within]
        name = f'{unit.bag_name}, part {index + 1} of {blocks}'
        sample = joined([frame.scored(name) for frame in chosen], name)
        groups.append(Group(name, unit.bag_name, unit.bag_sha256, len(chosen), sample))
    return tuple(groups)
