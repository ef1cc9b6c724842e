"""The progress line, with a clock of its own."""

from io import StringIO

from depth_perception.cli.progress import duration, Progress
from depth_perception.evaluation.schedule_parts import Event, Result
import pytest


class Terminal(StringIO):
    """Text that claims to be a terminal."""

    def isatty(self):
        return True


class Clock:
    """A clock that stands until told otherwise."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_a_terminal_shows_one_line_at_most_ten_times_per_second(clock, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    out = Terminal()
    progress = Progress(['hall sgbm', 'yard sgbm'], [40, 60], out=out, clock=clock)
    progress.started(0)
    progress.started(1)
    for frame in range(1, 33):
        clock.now_s += 0.0625
        progress.advanced(0, frame, 40)
    text = out.getvalue()
    assert text.count('\r\033[K') == 17  # every other one of 32 in two seconds, and the first
    assert '\n' not in text
    assert text.endswith(
        '[######..............] 0/2 runs, 32/100 frames, 16/s, 5 s to go: '
        'hall sgbm 80% | yard sgbm 0%'
    )
    progress.clear()
    progress.clear()
    assert out.getvalue()[len(text) :] == '\r\033[K'


def test_elsewhere_a_line_is_added_every_ten_seconds(clock):
    out = StringIO()
    with Progress(['hall'], [1000], out=out, clock=clock) as progress:
        progress.started(0)
        for frame in range(1, 250):
            clock.now_s += 0.125
            progress.advanced(0, frame, 1000)
    assert out.getvalue().splitlines() == [
        '0/1 runs, 80/1000 frames, 8/s, 1 min 55 s to go: hall 8%',
        '0/1 runs, 160/1000 frames, 8/s, 1 min 45 s to go: hall 16%',
        '0/1 runs, 240/1000 frames, 8/s, 1 min 35 s to go: hall 24%',
    ]


def test_failures_are_counted_and_what_was_done_before_is_no_speed(clock):
    progress = Progress(['a', 'b', 'c'], [100, 50, 10], out=StringIO(), clock=clock)
    progress.resumed(0, 80)
    progress.started(1)
    clock.now_s += 2.0
    progress.advanced(1, 10, 50)
    assert progress.rate_hz() == 5.0
    assert progress.left_s() == (160 - 90) / 5.0
    progress.ended(1, failed=True)  # its other frames will never come
    assert progress.line(99) == '1/3 runs (1 failed), 90/120 frames, 5/s, 6 s to go'
    progress.ended(2, failed=True)  # none of it was ever done
    assert progress.rate_hz() == 5.0
    assert progress.line(99) == '2/3 runs (2 failed), 100/120 frames, 5/s, 4 s to go'


def test_a_unit_that_begins_anew_loses_its_frames(clock):
    progress = Progress(['a'], [100], out=StringIO(), clock=clock)
    progress.started(0)
    clock.now_s += 4.0
    progress.advanced(0, 60, 100)
    progress.started(0)
    assert progress.line(99) == '0/1 runs, 0/100 frames: a 0%'


def test_unknown_lengths_give_no_time_to_go(clock):
    progress = Progress(['a', 'b'], out=StringIO(), clock=clock)
    progress.started(0)
    assert progress.line(99) == '0/2 runs: a'
    clock.now_s += 1.0
    progress.advanced(0, 5, 20)
    assert progress.line(99) == '0/2 runs, 5/20 frames, 5/s: a 25%'


def test_the_line_fits_a_narrow_terminal(clock, monkeypatch):
    monkeypatch.setenv('COLUMNS', '60')
    out = Terminal()
    progress = Progress(['a long name of a bag'] * 4, [9] * 4, out=out, clock=clock)
    for index in range(4):
        clock.now_s += 1.0
        progress.started(index)
    last = out.getvalue().rpartition('\r\033[K')[2]
    assert len(last) == 59
    assert last.endswith('...')


def test_lines_that_stay_are_not_mixed_with_the_one_that_goes(clock):
    out = Terminal()
    progress = Progress(['a'], [4], out=out, clock=clock)
    progress.started(0)
    progress.tell('a: a warning')
    assert out.getvalue().split('\r\033[K')[2] == 'a: a warning\n'
    assert out.getvalue().endswith('0/4 frames: a 0%')


def test_events_of_a_scheduler(clock):
    out = StringIO()
    progress = Progress(['a', 'b', 'c'], [10, 10, 10], out=out, clock=clock)
    clock.now_s += 2.0
    for event in (
        Event('started', 0, worker='host:12'),
        Event('progress', 0, 5, 20),
        Event('started', 1, worker='host:13'),
        Event('retried', 1, text='its worker process was ended by SIGKILL'),
        Event('ended', 1, result=Result(1, error='RecordingError: b is empty')),
        Event('stopping'),
        Event('ended', 2, result=Result(2, error='interrupted', stopped=True)),
    ):
        progress.hear(event)
    assert out.getvalue().splitlines() == [
        'b: its worker process was ended by SIGKILL; it is begun anew',
        'b: RecordingError: b is empty',
        'stopping at the next frames; ctrl-C again to stop at once',
    ]
    assert progress.line(99) == '2/3 runs (1 failed), 25/40 frames, 2.5/s, 6 s to go: a 25%'


def test_durations():
    texts = [duration(seconds) for seconds in (0.0, 7.2, 59.5, 185.0, 3599.1, 7620.0)]
    assert texts == ['0 s', '8 s', '1 min 00 s', '3 min 05 s', '1 h 00 min', '2 h 07 min']


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='2 names, but 1'):
        Progress(['a', 'b'], [1], out=StringIO())
