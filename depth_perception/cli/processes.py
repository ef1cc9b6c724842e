"""Run the programs of the demo: nodes, player and recorder, each a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import signal
import subprocess
import sys
from types import TracebackType

from depth_perception.errors import DepthPerceptionError
from depth_perception.fastdds import profile_environment

_GRACE_S = 5.0


def middleware_environment() -> dict[str, str]:
    """Return variables that keep the demo's traffic on this machine, and whole."""
    variables = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp',
        'PYTHONUNBUFFERED': '1',
    }
    chosen = {name: os.environ[name] for name in variables if os.environ.get(name)}
    return {**variables, **chosen, **profile_environment()}


class Program:
    """A Python module of this package that runs as a process; a context manager that ends it."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = module.rpartition('.')[2]
        self._log_path = log
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # ctrl-C is for the demo alone, which then ends them all
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def log(self) -> str:
        """Return what it has printed."""
        return self._log_path.read_text(encoding='utf-8', errors='replace')

    def wait(self, limit_s: float) -> bool:
        """Return whether it ends by itself within `limit_s`."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> int:
        """End it as ctrl-C does, at last by force, and return its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if not self.running:
                break
            self._process.send_signal(number)
            self.wait(_GRACE_S)
        return int(self._process.wait())

    def check(self) -> None:
        """Check that it is running, or has ended well.

        Raises:
            DepthPerceptionError: With the last lines that it printed.
        """
        code = self._process.poll()
        if code:
            lines = '\n'.join(self.log().strip().splitlines()[-12:])
            raise DepthPerceptionError(f'{self.name} ended with exit code {code}:\n{lines}')
