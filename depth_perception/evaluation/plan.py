"""From bags and models to the units of work between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from depth_perception.errors import DepthPerceptionError, SettingsError
from depth_perception.evaluation.bag_hash import sha256_of, storage_files
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.references import find_reference
from depth_perception.evaluation.report_reader import NOT_INDEPENDENT
from depth_perception.evaluation.streams import (
    CameraStreams,
    chosen_camera,
    find_cameras,
    find_truth,
    TruthStreams,
)
from depth_perception.evaluation.units import ModelChoice, Span, Unit


@dataclass(frozen=True)
class Selection:
    """What the user named of a bag; '' finds it by the types of messages.

    Attributes:
        image: Topic of the (left) images.
        right: Topic of the right images.
        info: camera_info of the (left) images, where it does not lie beside them.
        right_info: camera_info of the right images.
        truth: Topic of the ground truth; 'none' judges without.
        reference: Topic of references for the estimator; '' gives it none.
    """

    image: str = ''
    right: str = ''
    info: str = ''
    right_info: str = ''
    truth: str = ''
    reference: str = ''


@dataclass(frozen=True)
class Request:
    """What the user wants to know.

    Attributes:
        bags: The recordings.
        models: What is run on them.
        out: Folder of the results.
        selection: Topics that the user named, in every bag.
        options: How estimates are judged.
        span: Which part of each recording.
        truth_tolerance_ms: Greatest difference of the stamps of image and truth [ms].
    """

    bags: tuple[Path, ...]
    models: tuple[ModelChoice, ...]
    out: Path
    selection: Selection = field(default_factory=Selection)
    options: JudgeOptions = field(default_factory=JudgeOptions)
    span: Span = field(default_factory=Span)
    truth_tolerance_ms: float = 20.0


@dataclass
class Plan:
    """All that is to be done.

    Attributes:
        bags: One entry per bag, as report.json has it.
        units: The work, by bag, camera and model.
        problems: Bag -> why nothing of it can be evaluated.
    """

    bags: list[dict[str, Any]] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def make_plan(request: Request) -> Plan:
    """Return the units of all bags; a bag that cannot be used is told of and left out.

    Raises:
        SettingsError: If a recording is given twice.
    """
    plan = Plan()
    for path, name in zip(request.bags, bag_names(request.bags), strict=True):
        entry: dict[str, Any] = {'name': name, 'sha256': None, 'warnings': [], 'error': None}
        plan.bags.append(entry)
        try:
            entry['sha256'] = sha256_of(path)
            with Recording(path) as recording:
                _describe(entry, recording)
                units = _units(recording, entry, request)
        except DepthPerceptionError as error:
            entry['error'] = plan.problems[name] = str(error)
            continue
        plan.units += units
        if not units:
            entry['error'] = plan.problems[name] = 'no model suits its cameras: ' + '; '.join(
                entry['warnings']
            )
    return plan


def bag_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each bag: that of its folder, with as much of the path as tells it apart.

    Raises:
        SettingsError: If a recording is given twice.
    """
    resolved = [path.absolute() for path in paths]
    names: list[str] = []
    for path in resolved:
        if resolved.count(path) > 1:
            raise SettingsError(f'{path.name} is given twice')
        depth = 1
        while depth < len(path.parts) and any(
            other != path and other.parts[-depth:] == path.parts[-depth:] for other in resolved
        ):
            depth += 1
        names.append('/'.join(path.parts[-depth:]))
    return names


def _describe(entry: dict[str, Any], recording: Recording) -> None:
    files = storage_files(recording.path)
    entry['storage'] = 'mcap' if any('.mcap' in file.name for file in files) else 'sqlite3'
    entry['bytes'] = sum(file.stat().st_size for file in files)
    entry['duration_s'] = recording.duration_s
    entry['messages'] = sum(recording.count(topic) for topic in recording.types)


def _units(recording: Recording, entry: dict[str, Any], request: Request) -> list[Unit]:
    """Return the work on one recording, and note in its entry what the user should know."""
    selection = request.selection
    if selection.image:
        cameras = [
            chosen_camera(
                recording, selection.image, selection.right, selection.info, selection.right_info
            )
        ]
    else:
        cameras = find_cameras(recording)
    units: list[Unit] = []
    notes: list[str] = []
    for camera in cameras:
        reference = find_reference(recording, selection.reference)
        truth, warnings = find_truth(recording, camera, selection.truth, selection.reference)
        notes += warnings
        if selection.reference and selection.reference in truth.topics:
            notes.append(
                f'{selection.reference} {NOT_INDEPENDENT}: the figures of models '
                'that take their scale from it are not independent, and look better than they are'
            )
        if truth.kind == 'none' and selection.truth != 'none':
            notes.append(f'{camera.image}: no ground truth, so nothing is said about accuracy')
        suiting = [m for m in request.models if camera.is_stereo or m.task == 'mono']
        lacking = [model.label for model in request.models if model not in suiting]
        if lacking:
            notes.append(f'{camera.image}: {", ".join(lacking)}: needs a pair, this is one camera')
        for model in suiting:
            suited = camera if model.task == 'stereo' else camera.mono()
            images = recording.count(camera.image)
            unit = _unit(request, recording, entry, (model, suited, truth), images)
            units.append(replace(unit, reference=reference))
    entry['warnings'] = list(dict.fromkeys([*notes, *recording.warnings]))
    return units


def _unit(
    request: Request,
    recording: Recording,
    entry: dict[str, Any],
    chosen: tuple[ModelChoice, CameraStreams, TruthStreams],
    images: int,
) -> Unit:
    span = request.span
    expected = -(-images // span.every)
    unit = Unit(
        bag=recording.path.absolute(),
        bag_name=entry['name'],
        bag_sha256=entry['sha256'],
        model=chosen[0],
        camera=chosen[1],
        truth=chosen[2],
        options=request.options,
        span=span,
        truth_tolerance_ms=request.truth_tolerance_ms,
        journal=Path(),
        expected=min(expected, span.limit) if span.limit else expected,
    )
    return replace(unit, journal=request.out.absolute() / 'frames' / f'{unit.key[:24]}.jsonl')
