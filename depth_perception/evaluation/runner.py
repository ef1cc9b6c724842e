"""Evaluate one unit: every frame of one camera through the node's estimator, judged and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import math
from pathlib import Path
import time
from typing import Any, Protocol

from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.errors import CalibrationError, FrameError, ModelError
from depth_perception.evaluation.judge import (
    camera_facts,
    judge,
    ONLINE,
    Verdict,
    VIDEO,
)
from depth_perception.evaluation.measures.alignment import Alignment, VideoFit
from depth_perception.evaluation.measures.masks import truth_mask
from depth_perception.evaluation.measures.steadiness import scale_jitter
from depth_perception.evaluation.measures.temporal import TemporalMeasures
from depth_perception.evaluation.records import FrameRecord, Journal
from depth_perception.evaluation.report_data import columns_of, simulated_drop_rate
from depth_perception.evaluation.session import cause_of, Served, Session
from depth_perception.evaluation.truth import Truth
from depth_perception.evaluation.units import Unit
from depth_perception.inference.images import pixels_in
from depth_perception.messages.frames import MessageSet
import numpy as np


class Report(Protocol):
    """How a unit tells of its progress, and is told to stop."""

    def progress(self, done: int, total: int) -> None:
        """Tell how many frames are done."""

    def should_stop(self) -> bool:
        """Return whether the user wants an end."""


def evaluate_unit(unit: Unit, report: Report) -> dict[str, Any]:
    """Return the run of one unit, as report.json has it.

    Work that an earlier, interrupted call has done is taken from the unit's journal.

    Raises:
        RecordingError: If the recording or the journal cannot be used.
        ModelError: If the model cannot be opened.
    """
    with Journal(unit.journal, unit.key) as journal:
        if journal.outcome is None:
            outcome = _evaluate(unit, journal, report)
            if outcome['status'] == 'complete':
                journal.finish(outcome)
        else:
            outcome = journal.outcome
        table = columns_of(journal.replay())
    drops = {**table['drops'], **outcome.pop('pairing_drops', {})}
    judged = table['columns'].get(f'{ONLINE}/scale', [])
    without = len(table['stamps_ns']) - sum(math.isfinite(value) for value in judged)
    if without and unit.truth.kind != 'none':
        drops['served without truth'] = without
    latencies = table['columns'].get(f'{ONLINE}/latency_ms', [])
    frames_out = len(table['stamps_ns'])
    frames_in = frames_out + sum(table['drops'].values())
    totals = {
        f'{ONLINE}/drop_rate': 1.0 - frames_out / frames_in if frames_in else math.nan,
        f'{ONLINE}/live_drop_rate': simulated_drop_rate(table['stamps_ns'], latencies),
        **{k: math.nan if v is None else v for k, v in outcome.pop('totals', {}).items()},
        f'{ONLINE}/scale_jitter': scale_jitter(judged),
    }
    return {
        'model': unit.model.label,
        'bag': unit.bag_name,
        'camera': unit.camera.image,
        **outcome,
        'frames_in': frames_in,
        'frames_out': frames_out,
        'drops': drops,
        'totals': totals,
        'stamps_ns': table['stamps_ns'],
        'columns': table['columns'],
        'sums': table['sums'],
        'pooled': table['pooled'],
        'pictures': [],
    }


def _evaluate(unit: Unit, journal: Journal, report: Report) -> dict[str, Any]:
    video = None
    if VIDEO in unit.options.alignments:
        with Session(unit) as session:
            video = _video_alignment(unit, session, report)
    with Session(unit) as session:
        work = _Work(unit, journal, session, video)
        status = 'complete'
        for index, messages in enumerate(session.sets()):
            if report.should_stop():
                work.suspend()
                status = 'partial'
                break
            work.take(index, messages)
            report.progress(index + 1, unit.expected)
        counts = session.drops.counts
        pairing_drops = {
            'unpaired': session.inputs.pairing.sync_failures,
            **{cause: counts[cause] for cause in ('zero_stamp', 'no_camera_info')},
        }
        return {
            'calibration': work.calibration,
            'truth': {'kind': unit.truth.kind, 'topic': ', '.join(unit.truth.topics)},
            'backend': session.server.estimator.backend.description,
            'status': status,
            'error': None,
            'warnings': [*session.recording.warnings, *work.warnings(), *session.warnings()],
            'pairing_drops': {cause: n for cause, n in pairing_drops.items() if n},
            'totals': work.totals(),
        }


def _video_alignment(unit: Unit, session: Session, report: Report) -> Alignment:
    """Return the one alignment of all frames, which takes a pass of its own."""
    options, found = unit.options, VideoFit()
    for messages in session.sets():
        if report.should_stop():
            break
        try:
            served = session.server.serve(messages)
            truth = session.truth_of(served)
        except (FrameError, CalibrationError, ModelError):
            continue
        if truth is not None:
            mask = truth_mask(
                truth.depth, min_m=options.min_m, max_m=options.max_m, crop=options.crop
            )
            found.add(served.estimate.depth, truth.depth, mask)
    return found.fit(options.max_m, options.min_m if options.clamp else 0.0)


class _Work:
    """The state of one unit while its frames pass."""

    def __init__(
        self, unit: Unit, journal: Journal, session: Session, video: Alignment | None
    ) -> None:
        self._unit = unit
        self._journal = journal
        self._session = session
        self._video = video
        self._missing_truth: dict[str, str] = {}
        self._missing_poses = ''
        self._temporal = TemporalMeasures() if 'time' in unit.options.groups else None
        self._epoch: tuple[int, int] | None = None
        self._resumed_at = self._resume()
        self.calibration: dict[str, Any] = {}

    # Resuming

    @property
    def _state_file(self) -> Path:
        return self._unit.journal.with_suffix('.npz')

    def _resume(self) -> int:
        """Return the first frame that is still to be served, 0 where a part is of no use.

        A running mean, or the spread over time of an earlier run, can be carried on only from
        its state; without it the unit starts anew.
        """
        if not self._journal.records:
            return 0
        state = _read_state(self._state_file, self._journal.records) if self._temporal else {}
        if self._session.remembers or state is None:
            self._journal.restart()
            return 0
        if self._temporal is not None:
            self._temporal.restore(state)
        return self._journal.records

    def suspend(self) -> None:
        """Keep what a later run needs to carry on."""
        if self._temporal is not None:
            state = self._temporal.state()
            state['records'] = np.asarray(self._journal.records)
            np.savez(self._state_file, **state)  # type: ignore[arg-type]

    # Frames

    def take(self, index: int, messages: MessageSet) -> None:
        """Serve and judge one frame, unless an earlier run did."""
        if index < self._resumed_at:
            if not self.calibration:
                self._calibrate(messages)
            return
        try:
            served = self._session.server.serve(messages)
        except (FrameError, CalibrationError, ModelError) as error:
            cause = cause_of(error)
            self._session.drops.drop(cause, str(error))
            self._journal.append(FrameRecord(index, messages.stamp_ns, drop=cause))
            return
        if not self.calibration:
            self.calibration = camera_facts(served.frame.camera, served.rig)
        start = time.perf_counter()
        verdict = self._verdict(served, index)
        metrics_ms = (time.perf_counter() - start) * 1e3
        verdict.add(ONLINE, {**_speed_of(served), 'metrics_ms': metrics_ms})
        self._journal.append(
            FrameRecord(index, messages.stamp_ns, verdict.scalars, verdict.vectors)
        )

    def _calibrate(self, messages: MessageSet) -> None:
        try:
            frame = self._session.server.reader.frame_from(messages)
        except (FrameError, CalibrationError):
            return
        rig = frame.rig if isinstance(frame, StereoFrame) else None
        self.calibration = camera_facts(frame.camera, rig)

    def _verdict(self, served: Served, index: int) -> Verdict:
        estimate, options = served.estimate, self._unit.options
        every = self._unit.detail_every
        options = replace(options, detailed=index % every == 0)
        truth = self._truth_of(served)
        verdict = (
            Verdict()
            if truth is None
            else judge(estimate, truth, options, served.rig, self._video)
        )
        verdict.add(ONLINE, {'valid_share': float(estimate.valid.mean())})
        if truth is not None:
            scale = _scale_to_truth(estimate, truth, options.min_m, options.max_m, options.crop)
            verdict.add(ONLINE, {'scale': scale})
        if self._temporal is not None:
            in_pair = every == 1 or index % every in {0, every - 1}
            verdict.add(ONLINE, self._over_time(served, in_pair=in_pair))
        return verdict

    def _truth_of(self, served: Served) -> Truth | None:
        try:
            return self._session.truth_of(served)
        except (FrameError, CalibrationError) as error:
            self._missing_truth.setdefault(cause_of(error), str(error))
            return None

    def _over_time(self, served: Served, *, in_pair: bool) -> dict[str, float]:
        """Return how the frame agrees with the one before, where it is one of a pair to judge."""
        assert self._temporal is not None
        epoch = self._session.server.epoch
        if self._epoch is not None and epoch != self._epoch:
            self._temporal.reset()
        self._epoch = epoch
        frame = served.frame
        return self._temporal.add(
            served.estimate.depth,
            frame.stamp_ns,
            frame.camera,
            world_from_camera=self._pose(frame) if in_pair else None,
            image_grey=pixels_in('grey', frame.image) if in_pair else None,
        )

    def _pose(self, frame: MonoFrame | StereoFrame) -> Any:
        if self._session.tree is None or not self._session.tree.has_dynamic:
            return None
        try:
            root = self._session.tree.root_of(frame.frame_id)
            return self._session.tree.lookup(root, frame.frame_id, frame.stamp_ns)
        except FrameError as error:
            self._missing_poses = self._missing_poses or str(error)
            return None

    # What is known at the end

    def totals(self) -> dict[str, float]:
        """Return the figures that only the whole run has."""
        if self._temporal is None:
            return {}
        return {f'{ONLINE}/flicker': self._temporal.flicker()}

    def warnings(self) -> Iterator[str]:
        """Yield what the reader of the report should know."""
        for cause, reason in self._session.drops.reasons.items():
            yield f'frames dropped ({cause}), e.g.: {reason}'
        for cause, reason in self._missing_truth.items():
            yield f'frames without truth ({cause}), e.g.: {reason}'
        if self._missing_poses:
            yield f'frames without a pose of the camera, e.g.: {self._missing_poses}'
        yield from self._session.drops.warnings.values()


def _read_state(path: Path, records: int) -> dict[str, Any] | None:
    """Return the state that belongs to so many records; None if there is none."""
    try:
        with np.load(path, allow_pickle=False) as content:
            state = dict(content)
    except (OSError, ValueError):
        return None
    return state if int(state.pop('records', -1)) == records else None


def _speed_of(served: Served) -> dict[str, float]:
    network_ms = served.estimate.timings_ms.get('infer', math.nan)
    return {'latency_ms': served.total_ms, 'network_ms': float(network_ms)}


def _scale_to_truth(
    estimate: DepthEstimate, truth: Truth, min_m: float, max_m: float, crop: str
) -> float:
    """Return median truth over median depth: what would have to be multiplied to be right."""
    both = truth_mask(truth.depth, min_m=min_m, max_m=max_m, crop=crop) & estimate.valid
    if not both.any():
        return math.nan
    return float(np.median(truth.depth[both]) / np.median(estimate.depth[both]))
