"""Units of work for the schedulers; a module of its own, as workers import it by name."""

from dataclasses import dataclass
import os
from pathlib import Path
import signal
import sys
import time


@dataclass(frozen=True)
class Unit:
    """What to do: `name` of a function below, a number, and a folder for traces."""

    name: str
    number: int = 0
    folder: str = ''


def work(unit, report):
    """Do what the unit says."""
    return globals()[f'_{unit.name}'](unit, report)


def _square(unit, report):
    time.sleep(0.02 * (unit.number % 3))  # later units end first
    report.progress(unit.number, unit.number)
    return {'square': unit.number**2, 'text': f'{unit.number / 7:.17g}'}


def _fail(unit, report):
    raise ValueError(f'bag {unit.number}\nis broken')


def _leave(unit, report):
    sys.exit(3)


def _strange(unit, report):
    return lambda: None  # cannot be pickled


def _die(unit, report):
    _trace(unit)
    os.kill(os.getpid(), signal.SIGKILL)


def _die_once(unit, report):
    if _trace(unit) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def _frames(unit, report):
    """Go through frames slowly; return how many were done when told to stop."""
    _trace(unit)
    for frame in range(unit.number):
        if report.should_stop():
            return frame
        report.progress(frame + 1, unit.number)
        time.sleep(0.02)
    return unit.number


def _deaf(unit, report):
    _trace(unit)
    time.sleep(60.0)


def _threads(unit, report):
    cv2 = sys.modules.get('cv2')
    return os.environ.get('OMP_NUM_THREADS'), cv2.getNumThreads() if cv2 else None


def _trace(unit):
    """Leave a file with the process id; return how many there are of this unit."""
    folder = Path(unit.folder)
    count = len(list(folder.glob(f'{unit.number}-*'))) + 1
    part = folder / f'part-{unit.number}'
    part.write_text(str(os.getpid()))
    part.rename(folder / f'{unit.number}-{count}')
    return count
