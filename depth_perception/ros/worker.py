"""The inference thread: decode, estimate, encode, publish; a bad frame never ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import threading
import time
from typing import Any, TypeVar

from depth_perception.core.estimate import DepthEstimate
from depth_perception.errors import CalibrationError, FrameError, ModelError, NotMetricError
from depth_perception.inference.estimator_base import DepthEstimator, Ticket
from depth_perception.messages.frames import FrameReader, MessageSet
from depth_perception.parameters import NodeSettings
from depth_perception.ros.latency import RateMeter, StageTimes
from depth_perception.ros.ledger import Ledger, QUIET_S
from depth_perception.ros.mailbox import Mailbox
from depth_perception.ros.output_kinds import labelled, Result
from depth_perception.ros.outputs import Outputs

T = TypeVar('T')
_HOUR_S = 3600.0
_FUTURE_S = 0.1  # stamps further ahead of the clock than this are worth a warning


@dataclass
class _Begun:
    """A frame whose estimate was begun.

    Attributes:
        messages: What it was made of.
        ticket: What the estimator knows of it.
        names: Outputs to make.
        calibrations: Of the reader, when the frame was made.
        taken_s: When the messages were taken, on the clock of `time.perf_counter` [s].
        decoded_s: When the images were decoded.
        age_s: Age of the messages when they were taken [s].
    """

    messages: MessageSet
    ticket: Ticket[Any]
    names: frozenset[str]
    calibrations: int
    taken_s: float
    decoded_s: float
    age_s: float


class Worker:
    """Serves the newest set of messages, one at a time, in a thread of its own.

    Where the network runs by itself, on a GPU, the next frame is begun before the results of this
    one are published. No result waits for a frame that has not come yet.

    Attributes:
        times: Durations of the stages of served frames.
        rate: Rate of served frames.
        newest: The last estimate; None before the first.
        not_metric: Why there is no depth in metres; '' as long as there is.
        scale_jumps: Number of frames in which the scale jumped.
        input_age_s: Age of the newest frame when it was taken [s].

    Args:
        estimator: Makes depth of frames; this thread is its only user.
        reader: Makes frames of messages.
        outputs: Where results go.
        ledger: Where drops are counted.
        settings: Returns the settings in force.
        now_ns: Returns the node's time [ns], which is simulated time where that is in use.
    """

    def __init__(
        self,
        estimator: DepthEstimator[Any],
        reader: FrameReader,
        outputs: Outputs,
        ledger: Ledger,
        *,
        settings: Callable[[], NodeSettings],
        now_ns: Callable[[], int],
    ) -> None:
        self.times = StageTimes()
        self.rate = RateMeter()
        self.newest: DepthEstimate | None = None
        self.not_metric = ''
        self.scale_jumps = 0
        self._jump = (float('-inf'), '')
        self.input_age_s = float('nan')
        self._estimator = estimator
        self._reader = reader
        self._outputs = outputs
        self._ledger = ledger
        self._settings = settings
        self._now_ns = now_ns
        self._mailbox: Mailbox[MessageSet] = Mailbox()
        self._remembered = (-1, -1)
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def deliver(self, messages: MessageSet) -> None:
        """Leave a set for the thread; one that is still unread is dropped for it."""
        if self._mailbox.put(messages):
            self._ledger.count('overload')

    def stop(self, timeout_s: float | None = None) -> bool:
        """Finish the frame in hand and end; return whether the thread has ended in time."""
        self._mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        begun: _Begun | None = None
        while begun is not None or not self._mailbox.closed:
            if begun is None:
                begun = self._begun(self._mailbox.take())
                continue
            begun.ticket.wait()
            result = self._guarded(self._finished, begun)
            finished_s, following = time.perf_counter(), None
            if begun.ticket.running is not None and begun.ticket.settings.tensorrt__overlap:
                following = self._begun(self._mailbox.take(0.0))
            if result is not None:
                overlapped_ms = (time.perf_counter() - finished_s) * 1e3
                self._guarded(self._publish, begun, result, overlapped_ms)
            begun = following

    def _begun(self, messages: MessageSet | None) -> _Begun | None:
        """Return a frame that was begun; None if there is none, or it cannot be served."""
        return None if messages is None else self._guarded(self._begin, messages)

    def _guarded(self, work: Callable[..., T | None], *arguments: Any) -> T | None:
        """Return what a step of a frame gives; None, and the reason told, if it fails."""
        try:
            return work(*arguments)
        except FrameError as error:
            self._ledger.drop(error.cause, str(error))
        except CalibrationError as error:
            self._ledger.drop('calibration', str(error))
        except NotMetricError as error:
            self.not_metric = str(error)
            self._ledger.count('not_metric')
            self._ledger.error('not_metric', f'no metric depth is published: {error}')
        except ModelError as error:
            self._ledger.drop('inference', str(error))
        except Exception as error:  # noqa: BLE001 - the thread must outlive any frame
            if not self._mailbox.closed:
                self._ledger.defect('a frame', error)
        return None

    def _begin(self, messages: MessageSet) -> _Begun | None:
        """Begin a set of messages with one snapshot of the settings."""
        settings = self._settings()
        taken_s = time.perf_counter()
        age_s = self._check_age(messages, settings)
        names = self._outputs.wanted()
        if not names:
            self._ledger.count('no_subscriber')
            return None
        frame = self._reader.frame_from(messages)
        calibrations = self._reader.calibrations
        decoded_s = time.perf_counter()
        self._estimator.settings = settings
        ticket = self._estimator.begin(frame)
        return _Begun(messages, ticket, names, calibrations, taken_s, decoded_s, age_s)

    def _finished(self, begun: _Begun) -> Result:
        """Return the result of a frame that was begun."""
        self._forget_if_new(begun.messages.epoch, begun.calibrations)
        self._estimator.wants_cloud = 'points' in begun.names
        estimate = self._estimator.finish(begun.ticket)
        self.not_metric = ''
        self._watch_scale(estimate.report.jump)
        if self._estimator.temporal_problem:
            self._ledger.warn('not_fused', self._estimator.temporal_problem)
        settings = begun.ticket.settings
        header = labelled(begun.messages.images[0].header, settings.output_frame_id)
        return Result(estimate, begun.ticket.frame, header, settings)

    def _publish(self, begun: _Begun, result: Result, overlapped_ms: float) -> None:
        """Publish a result, and count what it took, `overlapped_ms` for beginning the next one."""
        if self._mailbox.closed:
            return
        estimate, messages = result.estimate, begun.messages
        published_ms = self._outputs.publish(begun.names, result)
        # Its cloud lies in memory that the next one fills.
        self.newest = estimate if estimate.cloud is None else replace(estimate, cloud=None)
        self._ledger.frames_out += 1
        self.rate.tick()
        queue_s = begun.taken_s - messages.received_s
        stamped = {}
        if abs(begun.age_s) < _HOUR_S:  # else the stamps are of another clock: a bag's
            stamped = {
                'total': (self._now_ns() - messages.stamp_ns) / 1e6,
                'arrive': (begun.age_s - queue_s) * 1e3,
            }
        self.times.add(
            {
                **stamped,
                'queue': queue_s * 1e3,
                'decode image': (begun.decoded_s - begun.taken_s) * 1e3,
                **estimate.timings_ms,
                **published_ms,
                **({'begin next': overlapped_ms} if begun.ticket.running is not None else {}),
                'service': (time.perf_counter() - begun.taken_s) * 1e3,
            }
        )

    def _watch_scale(self, jump: str) -> None:
        if jump:
            self.scale_jumps += 1
            self._jump = (time.monotonic(), jump)
            self._ledger.error('scale_jump', jump)

    def recent_jump(self) -> str:
        """Return what the last jump of the scale was, if it is a recent one; else ''."""
        moment, text = self._jump
        return text if time.monotonic() - moment < QUIET_S else ''

    def _check_age(self, messages: MessageSet, settings: NodeSettings) -> float:
        """Return the age of messages [s]; raise if they are too old."""
        now_ns = self._now_ns()
        age_s = self.input_age_s = (now_ns - messages.stamp_ns) / 1e9
        if now_ns == 0:
            self._ledger.warn(
                'no_clock', 'use_sim_time is set, but nobody publishes /clock: time stands at 0'
            )
        elif age_s < -_FUTURE_S:
            self._ledger.warn(
                'future_stamp',
                f'image stamps are {-age_s:.3f} s ahead of this clock; synchronise the clocks of '
                'camera and computer (frames are served all the same)',
            )
        limit_s = settings.max_input_age_s
        if limit_s <= 0.0 or age_s <= limit_s:
            return age_s
        if age_s > _HOUR_S:
            advice = 'is this a bag? Set use_sim_time:=true with a /clock, or max_input_age_s:=0'
        else:
            advice = 'raise max_input_age_s, or look for the delay'
        raise FrameError(
            'too_old', f'image is {age_s:.3f} s old, max_input_age_s is {limit_s:g} s; {advice}'
        )

    def _forget_if_new(self, epoch: int, calibrations: int) -> None:
        """Reset the estimator where its memory belongs to another time or another camera."""
        remembered = (epoch, calibrations)
        if remembered != self._remembered:
            self._estimator.reset()
            self._remembered = remembered
