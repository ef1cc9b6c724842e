"""End a run that hangs, and name the test.

A native call that never returns may hold the interpreter, and then no thread of the process can
say anything: the guard is a process of its own. It aborts the run, and on that signal pytest's
faulthandler shows where every thread is.
"""

import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 10.0
POLL_S = 0.5
LONGEST = 400  # a line must arrive whole, which short ones do (PIPE_BUF)


class HangGuard:
    """A plugin of pytest that gives each test, with its fixtures, `limit_s` [s]."""

    def __init__(self, limit_s):
        words = [sys.executable, '-I', '-S', __file__, str(os.getpid()), str(limit_s)]
        self._guard = subprocess.Popen(words, stdin=subprocess.PIPE)

    def pytest_runtest_logstart(self, nodeid):
        self._say(nodeid)

    def pytest_runtest_logfinish(self):
        self._say('')

    def pytest_unconfigure(self):
        self._guard.kill()
        self._guard.communicate()

    def _say(self, nodeid):
        line = nodeid.encode('unicode_escape')[:LONGEST] + b'\n'
        try:
            os.write(self._guard.stdin.fileno(), line)
        except BrokenPipeError:  # the guard is gone: the tests go on without it
            os.write(2, b'\nthe guard against tests that hang has ended\n')


def hanging(pid, limit_s):
    """Read from stdin which test begins, or '' at its end; return one that does not end."""
    name, end_s, rest = '', 0.0, b''
    while os.getppid() == pid:
        if select.select([0], [], [], POLL_S)[0]:
            said = os.read(0, 1 << 16)
            if not said:
                break
            *lines, rest = (rest + said).split(b'\n')
            if lines:
                name, end_s = lines[-1].decode(), time.monotonic() + limit_s
        elif name and time.monotonic() > end_s:
            return name
    return ''


def main(pid, limit_s):
    name = hanging(pid, limit_s)
    if not name:
        return
    os.write(2, f'\n{name} has not ended within {limit_s:.0f} s: it hangs.\n'.encode())
    os.kill(pid, signal.SIGABRT)
    end_s = time.monotonic() + GRACE_S
    while os.getppid() == pid and time.monotonic() < end_s:
        time.sleep(POLL_S)
    if os.getppid() == pid:
        os.kill(pid, signal.SIGKILL)


if __name__ == '__main__':
    main(int(sys.argv[1]), float(sys.argv[2]))
