"""One model on one camera of one recording, opened: message sets in, estimates and truth out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
import time
from types import TracebackType
from typing import Any

from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError, FrameError, NotMetricError
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.offline import DropCounter, OfflineInputs, reader_of
from depth_perception.evaluation.references import RecordedReferences
from depth_perception.evaluation.transforms import tree_from_recording
from depth_perception.evaluation.truth import Truth, TruthSource
from depth_perception.evaluation.units import Unit
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.messages.frames import FrameReader, MessageSet
from depth_perception.messages.locating import frames_wanted


@dataclass(frozen=True)
class Served:
    """One frame as it went through the estimator.

    Attributes:
        messages: What it was made of.
        frame: What the estimator was given.
        estimate: What it answered.
        total_ms: Time from the messages to the estimate [ms].
    """

    messages: MessageSet
    frame: MonoFrame | StereoFrame
    estimate: DepthEstimate
    total_ms: float

    @property
    def rig(self) -> StereoRig | None:
        """The rig of a pair; None for a single camera."""
        return self.frame.rig if isinstance(self.frame, StereoFrame) else None


class Server:
    """Serves message sets as the node's worker does: decode, calibrate, estimate.

    Args:
        reader: Makes frames of messages.
        estimator: Makes depth of frames.
    """

    def __init__(self, reader: FrameReader, estimator: DepthEstimator[Any]) -> None:
        self.reader = reader
        self.estimator = estimator
        self._remembered = (-1, -1)

    @property
    def epoch(self) -> tuple[int, int]:
        """Changes when nothing of earlier frames may be remembered."""
        return self._remembered

    def serve(self, messages: MessageSet) -> Served:
        """Return the estimate of one set of messages.

        Raises:
            FrameError: If the images cannot be used.
            CalibrationError: If a camera_info cannot be used.
            ModelError: If the network fails, or has no metric scale.
        """
        start = time.perf_counter()
        frame = self.reader.frame_from(messages)
        remembered = (messages.epoch, self.reader.calibrations)
        if remembered != self._remembered:
            self.estimator.reset()
            self._remembered = remembered
        estimate = self.estimator.estimate(frame)
        return Served(messages, frame, estimate, (time.perf_counter() - start) * 1e3)


class Session:
    """Everything that the work on one unit needs; a context manager.

    Attributes:
        recording: The bag.
        tree: Its frames; None if it has no TF.
        drops: What was not used, and why.
        server: Serves message sets.
        inputs: Pairs messages.
        references: What the node would hear beside the images; None if nothing.

    Raises:
        RecordingError: If the recording cannot be read.
        ModelError: If the model cannot be opened.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._stack = ExitStack()
        with ExitStack() as stack:
            settings = unit.model.settings(compressed=unit.camera.compressed)
            # One runtime for all frames: results must not depend on when an engine is ready.
            settings = replace(settings, tensorrt__while_building='wait')
            self.recording = stack.enter_context(Recording(unit.bag))
            estimator = open_estimator(settings)
            stack.callback(estimator.close)
            self.tree = tree_from_recording(self.recording)
            tolerance_ns = round(unit.truth_tolerance_ms * 1e6)
            self._truth = TruthSource(unit.truth, self.tree, tolerance_ns=tolerance_ns)
            self.drops = DropCounter()
            self.references: RecordedReferences | None = None
            if unit.reference.topics or frames_wanted(settings):
                self.references = RecordedReferences(self.recording, unit.reference, settings)
            self.inputs = OfflineInputs(
                self.recording, unit.camera, settings, self._truth, self.drops
            )
            self.inputs.references = self.references
            self.server = Server(reader_of(unit.camera, settings), estimator)
            self._stack = stack.pop_all()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def remembers(self) -> bool:
        """Whether earlier frames are part of an estimate."""
        return bool(self.server.estimator.settings.remembers)

    def warnings(self) -> list[str]:
        """Return what the user should know of the references."""
        return self.references.warnings() if self.references is not None else []

    def sets(self) -> Iterator[MessageSet]:
        """Yield the complete sets of inputs of the unit's span, in order."""
        return self.inputs.sets(self._unit.span)

    def truth_of(self, served: Served) -> Truth | None:
        """Return the truth of a frame just served; None if none was recorded near its stamp.

        Raises:
            FrameError: If its message cannot be used, or TF does not tell where it was.
            CalibrationError: If its camera_info cannot be used.
        """
        frame = served.frame
        return self._truth.truth_at(frame.stamp_ns, frame.camera, frame.frame_id, served.rig)


def cause_of(error: Exception) -> str:
    """Return the name under which the node counts a frame that failed with `error`."""
    if isinstance(error, FrameError):
        return error.cause
    if isinstance(error, CalibrationError):
        return 'calibration'
    return 'not_metric' if isinstance(error, NotMetricError) else 'inference'
