"""The worker around an estimator whose network runs by itself: order, errors, end, latency."""

from dataclasses import dataclass
import threading
import time
from types import SimpleNamespace

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.errors import FrameError, InferenceError, ModelError
from depth_perception.messages.frames import MessageSet
from depth_perception.parameters import MonoSettings
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.worker import Worker
import numpy as np
import pytest

pytestmark = pytest.mark.ros
CAMERA = PinholeCamera(4, 3, 5.0, 5.0, 1.5, 1.0)
LIMIT_S = 90.0  # of a busy machine


@dataclass
class Ticket:
    """A run that ends when the test says so."""

    frame: object
    settings: object
    running: object
    may_end: threading.Event

    def wait(self):
        assert self.may_end.wait(LIMIT_S)


class Estimator:
    """Notes what is done with it; frame `n` ends when `ends[n]` is set."""

    temporal_problem = ''
    wants_cloud = False

    def __init__(self, diary, *, runs=True, fails=()):
        self.diary, self.runs, self.fails = diary, runs, fails
        self.settings, self.resets = None, 0
        self.ends = [threading.Event() for _ in range(20)]
        self.began = [threading.Event() for _ in range(20)]

    def reset(self):
        self.resets += 1

    def begin(self, frame):
        number = frame.stamp_ns
        self.diary.append(('begin', number))
        self.began[number].set()
        if ('begin', number) in self.fails:
            raise FrameError('odd', 'cannot be begun')
        ended = self.ends[number] if self.runs else threading.Event()
        if not self.runs:
            ended.set()
        return Ticket(frame, self.settings, object() if self.runs else None, ended)

    def finish(self, ticket):
        number = ticket.frame.stamp_ns
        self.diary.append(('finish', number))
        if ('finish', number) in self.fails:
            raise InferenceError('the GPU fell off')
        depth = np.full((3, 4), 2.0, np.float32)
        cloud = np.zeros((3, 4, 5), np.uint32)
        return DepthEstimate(
            depth, 0.1 * depth, np.ones((3, 4), bool), CAMERA, Scale(Rung.NETWORK),
            stamp_ns=number, cloud=cloud,
        )  # fmt: skip


class Outputs:
    """Notes what is published."""

    def __init__(self, diary):
        self.diary, self.count = diary, threading.Semaphore(0)
        self.names = frozenset({'points'})

    def wanted(self):
        return self.names

    def publish(self, names, result):
        assert result.estimate.cloud is not None
        assert result.header.number == result.estimate.stamp_ns
        self.diary.append(('publish', result.estimate.stamp_ns))
        self.count.release()
        return {'publish': 1.0}


class Reader:
    """A message is its own frame."""

    calibrations = 1

    def frame_from(self, messages):
        return SimpleNamespace(stamp_ns=messages.stamp_ns)


class Rig:
    """A worker with all around it played."""

    def __init__(self, **estimator):
        overlap = estimator.pop('overlap', True)
        self.diary = []
        self.warnings = []
        self.now_ns = 1_000
        self.estimator = Estimator(self.diary, **estimator)
        self.outputs = Outputs(self.diary)
        logger = SimpleNamespace(warning=self.warnings.append, error=self.warnings.append)
        self.ledger = Ledger(logger)
        settings = MonoSettings(max_input_age_s=0.0, tensorrt__overlap=overlap)
        self.worker = Worker(
            self.estimator, Reader(), self.outputs, self.ledger,
            settings=lambda: settings, now_ns=lambda: self.now_ns,
        )  # fmt: skip
        self.worker.start()

    def deliver(self, number):
        stamp = SimpleNamespace(sec=0, nanosec=number)
        image = SimpleNamespace(header=SimpleNamespace(number=number, stamp=stamp))
        self.worker.deliver(MessageSet((image,), (), time.perf_counter(), 0))

    def began(self, number):
        assert self.estimator.began[number].wait(LIMIT_S)

    def end(self, number):
        self.estimator.ends[number].set()

    def published(self, count=1):
        for _ in range(count):
            assert self.outputs.count.acquire(timeout=LIMIT_S)

    def stop(self):
        for end in self.estimator.ends:
            end.set()
        assert self.worker.stop(LIMIT_S)


@pytest.fixture
def rig():
    """Return a function that makes a rig; it is stopped in the end."""
    made = []

    def make(**options):
        made.append(Rig(**options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_the_next_frame_is_begun_before_this_one_is_published(rig):
    one = rig()
    one.deliver(0)
    for number in range(6):
        one.began(number)
        if number:
            one.published()  # the one before, while this one runs
        if number < 5:
            one.deliver(number + 1)  # waits in the mailbox when the run ends
        one.end(number)
    one.published()
    order = [number for what, number in one.diary if what == 'publish']
    assert order == list(range(6))
    for number in range(5):
        begun = one.diary.index(('begin', number + 1))
        assert one.diary.index(('finish', number)) < begun
        assert begun < one.diary.index(('publish', number))


def test_the_last_frame_waits_for_no_other(rig):
    one = rig()
    one.deliver(0)
    one.began(0)
    one.end(0)
    one.published()
    assert one.diary == [('begin', 0), ('finish', 0), ('publish', 0)]


def test_the_newest_frame_wins_while_the_network_runs(rig):
    one = rig()
    one.deliver(0)
    one.began(0)
    for number in (1, 2, 3):
        one.deliver(number)
    one.end(0)
    one.end(3)
    one.published(2)
    assert [n for what, n in one.diary if what == 'publish'] == [0, 3]
    assert one.ledger.drops() == {'overload': 2}


def test_a_run_that_fails_is_dropped_counted_and_told_and_the_next_goes_on(rig):
    one = rig(fails={('finish', 1)})
    one.deliver(0)
    for number in range(3):
        one.began(number)
        if number < 2:
            one.deliver(number + 1)
        one.end(number)
    one.published(2)
    assert [n for what, n in one.diary if what == 'publish'] == [0, 2]
    assert one.ledger.drops() == {'inference': 1}
    assert one.warnings == ['frame dropped (inference): the GPU fell off']


def test_a_frame_that_cannot_be_begun_keeps_none_from_being_published(rig):
    one = rig(fails={('begin', 1)})
    one.deliver(0)
    one.began(0)
    one.deliver(1)
    one.end(0)
    one.published()
    one.deliver(2)
    one.end(2)
    one.published()
    assert [n for what, n in one.diary if what == 'publish'] == [0, 2]
    assert one.ledger.drops() == {'odd': 1}


def test_a_run_under_way_is_waited_for_in_the_end_and_not_published(rig):
    one = rig()
    one.deliver(0)
    one.began(0)
    assert not one.worker.stop(0.05)
    one.end(0)
    assert one.worker.stop(LIMIT_S)
    assert ('publish', 0) not in one.diary


@pytest.mark.parametrize('options', [{'runs': False}, {'overlap': False}])
def test_without_a_gpu_or_if_told_so_each_frame_is_published_before_the_next(rig, options):
    one = rig(**options)
    for number in range(3):
        one.deliver(number)
        one.end(number)
        one.published()
    assert one.diary == [(w, n) for n in range(3) for w in ('begin', 'finish', 'publish')]


def test_latency_is_from_the_stamp_to_the_publication(rig):
    one = rig()
    one.deliver(7)
    one.began(7)
    one.now_ns = 8_000_007  # 8 ms after the stamp
    one.end(7)
    one.published()
    one.deliver(8)
    one.began(8)  # the figures of the first frame are complete
    figures = one.worker.times.percentiles_ms()
    assert figures['total'][0] == pytest.approx(8.0)
    assert 'begin next' in figures
    assert one.worker.newest.cloud is None  # its memory is that of the next one


def test_a_model_error_of_begin_is_one_of_the_network(rig, monkeypatch):
    one = rig()

    def fails(frame):
        raise ModelError('another shape')

    monkeypatch.setattr(one.estimator, 'begin', fails)
    one.deliver(0)
    end = time.monotonic() + LIMIT_S
    while one.ledger.drops() != {'inference': 1}:
        assert time.monotonic() < end
        time.sleep(0.001)
