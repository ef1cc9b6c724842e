"""A headless Chromium, driven through its debugging pipe, by the standard library alone."""

from __future__ import annotations

import base64
import itertools
import json
import os
from pathlib import Path
import select
import shutil
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or ''
FLAGS = (
    '--headless', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--hide-scrollbars',
    '--enable-unsafe-swiftshader', '--remote-debugging-pipe',
)  # fmt: skip


class Page:
    """One page of a browser of its own; a context manager.

    Attributes:
        complaints: Errors and warnings of the console, exceptions, and requests that failed.

    Args:
        url: What to open.
        size: Width and height of the window [px].
    """

    def __init__(self, url: str, size: tuple[int, int] = (1440, 900)) -> None:
        self.complaints: list[str] = []
        self._profile = tempfile.mkdtemp(prefix='browser_')
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()

        # Chromium reads commands from 3 and answers on 4.
        wire = f'exec 63<&{theirs_in} 64>&{theirs_out}; exec "$@" 3<&63 4>&64'
        window = f'--window-size={size[0]},{size[1]}'
        profile = f'--user-data-dir={self._profile}'
        self._process = subprocess.Popen(
            ['bash', '-c', wire, 'bash', CHROMIUM, *FLAGS, window, profile, 'about:blank'],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._rest = b''
        self._session = ''
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        attached = self.ask('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Runtime', 'Page', 'Log', 'Network'):
            self.ask(f'{domain}.enable')
        metrics = {'width': size[0], 'height': size[1], 'deviceScaleFactor': 1, 'mobile': False}
        self.ask('Emulation.setDeviceMetricsOverride', **metrics)
        self.ask('Page.navigate', url=url)

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the DevTools protocol."""
        number = next(self._numbers)
        command = {'id': number, 'method': method, 'params': parameters}
        if self._session:
            command['sessionId'] = self._session
        os.write(self._to, json.dumps(command).encode() + b'\0')
        while True:
            message = self._message()
            if message.get('id') == number:
                if 'error' in message:
                    raise RuntimeError(f'{method}: {message["error"]["message"]}')
                return dict(message['result'])
            self._listen(message)

    def value(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.ask(
            'Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True
        )
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{script}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def until(self, script: str, limit_s: float = 60.0) -> Any:
        """Wait until an expression in the page is true, and return its value."""
        end_s = time.monotonic() + limit_s
        while not (found := self.value(script)):
            if time.monotonic() > end_s:
                raise AssertionError(f'{script} did not become true; {self.complaints}')
            time.sleep(0.05)
        return found

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send a mouse event, e.g. 'mouseMoved'."""
        self.ask('Input.dispatchMouseEvent', type=kind, x=x, y=y, **more)

    def picture(self, path: Path) -> None:
        """Write what the window shows; the suffix tells the format."""
        form = 'png' if path.suffix == '.png' else 'jpeg'
        quality = {} if form == 'png' else {'quality': 88}
        shot = self.ask('Page.captureScreenshot', format=form, **quality)
        path.write_bytes(base64.b64decode(shot['data']))

    def _message(self) -> dict[str, Any]:
        while b'\0' not in self._rest:
            ready, _, _ = select.select([self._from], [], [], 120.0)
            data = os.read(self._from, 1 << 20) if ready else b''
            if not data:
                raise RuntimeError('the browser does not answer')
            self._rest += data
        text, _, self._rest = self._rest.partition(b'\0')
        return dict(json.loads(text))

    def _listen(self, message: dict[str, Any]) -> None:
        method, said = message.get('method', ''), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.complaints.append(str(said['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and said['type'] in ('error', 'warning'):
            self.complaints.append(str(said['args']))
        elif method == 'Log.entryAdded' and said['entry']['level'] in ('error', 'warning'):
            self.complaints.append(f'{said["entry"]["text"]} {said["entry"].get("url", "")}')
        elif method == 'Network.loadingFailed' and not said.get('canceled'):
            self.complaints.append(said['errorText'])
