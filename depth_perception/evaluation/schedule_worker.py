"""The other side of the process scheduler: serve units until the pipe says that it is enough."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Connection
import os
import pickle
from queue import SimpleQueue
import select
import signal
import threading

from depth_perception.evaluation.schedule_parts import packed_attempt, Report

# Pickled tuples. Parent to worker: ('unit', packed), ('stop',), ('end',).
# Worker to parent: ('ready',), ('progress', done, total), ('reply', packed).
THREAD_VARIABLES = (
    'OMP_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'MKL_NUM_THREADS',
    'OPENCV_FOR_THREADS_NUM',
)


def serve(connection: Connection, threads: int) -> None:
    """Serve units until told to end; ends at once when the parent is gone.

    Args:
        connection: One end of a pipe, this process's own.
        threads: How many threads OpenCV may use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the parent's to hear
    work: SimpleQueue[bytes | None] = SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(connection, work, stop), daemon=True).start()
    limit_opencv(threads)
    sending = threading.Lock()

    def send(*message: object) -> None:
        with sending:
            connection.send_bytes(pickle.dumps(message, protocol=5))

    def progress(done: int, total: int) -> None:
        if select.select((), (connection,), (), 0.0)[1]:  # a parent that is late misses it
            send('progress', done, total)

    send('ready')
    while (packed := work.get()) is not None:
        send('reply', packed_attempt(packed, Report(progress, stop.is_set)))


def _listen(
    connection: Connection, work: SimpleQueue[bytes | None], stop: threading.Event
) -> None:
    """Take what the parent says while the unit runs."""
    while True:
        try:
            message = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)  # whatever the unit is doing, nobody waits for it any more
        if message[0] == 'unit':
            work.put(message[1])
        elif message[0] == 'stop':
            stop.set()
        else:
            work.put(None)
            return


def limit_opencv(threads: int) -> None:
    """Let OpenCV use at most `threads` threads, where it is installed."""
    with suppress(ImportError):
        import cv2

        cv2.setNumThreads(threads)
