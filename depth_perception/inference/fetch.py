"""Download the network file of a model card: the one thing in this package that uses the network.

The file is written beside its final name, resumed where an earlier attempt stopped, compared with
the sha256 of the card, and only then put in place.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
import os
from pathlib import Path
from typing import Any
import urllib.error
from urllib.parse import urlsplit
import urllib.request

from depth_perception.errors import ModelError
from depth_perception.inference.cards import file_sha256, how_to_get, ModelCard
from depth_perception.resources import user_cache

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all; 0 where the server does not tell)."""

MAX_BYTES = 4 << 30
_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_ATTEMPTS = 5
_LOOPBACK = ('127.0.0.1', 'localhost', '::1')


def fetch(
    card: ModelCard,
    progress: Progress | None = None,
    *,
    trust_first_use: bool = False,
) -> Path:
    """Return the path of the card's file among the fetched models, downloading it if need be.

    Args:
        card: Card with the source and the sha256 of its file.
        progress: Told of every block.
        trust_first_use: Accept a file whose card has no sha256.

    Raises:
        ModelError: If there is nothing to fetch, the source is not https, the download fails, or
            the file is another one than the card says.
    """
    name, wanted = card.artifact.file, card.artifact.sha256
    if not name or Path(name).name != name:
        raise ModelError(f'{card.id} has no file to fetch')
    folder = user_cache() / 'models'
    path = folder / name
    if path.is_file() and wanted and file_sha256(path) == wanted:
        return path
    _check_source(card)
    if not wanted and not trust_first_use:
        raise ModelError(
            f'{card.id} names no sha256, so nobody can tell whether the file is the right one; '
            'use --trust-first-use to take what the server gives'
        )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f'{name}.part'
    _download(card.artifact.source, part, progress or _unseen)
    digest = file_sha256(part)
    if wanted and digest != wanted:
        part.unlink()
        raise ModelError(
            f'{card.artifact.source} gave a file with sha256 {digest}, the card {card.id} wants '
            f'{wanted}; it was deleted'
        )
    os.replace(part, path)  # noqa: PTH105 - atomic, also over an existing file
    return path


def _unseen(done: int, total: int) -> None:
    """Show no progress."""
    del done, total


def _check_source(card: ModelCard) -> None:
    source = urlsplit(card.artifact.source)
    secure = source.scheme == 'https' or (source.scheme == 'http' and source.hostname in _LOOPBACK)
    if not source.scheme:
        raise ModelError(f'{card.artifact.file} of {card.id}: {how_to_get(card)}')
    if not secure:
        raise ModelError(f'{card.id}: only https is fetched, got {card.artifact.source!r}')


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == 'https' and urlsplit(newurl).scheme != 'https':
            raise ModelError(f'{req.full_url} redirects to {newurl}, which is not https')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path, progress: Progress) -> None:
    """Bring `part` to its full length, beginning where it ends."""
    opener = urllib.request.build_opener(_SecureRedirects)
    reason: Exception | str = ''
    for _ in range(_ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _append(opener, url, part, progress):
                return
            reason = 'the connection ended early'
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # more is here than there: begin again
                part.unlink()
                continue
            raise ModelError(f'{url}: the server answers {error.code} {error.reason}') from error
        except (OSError, HTTPException) as error:
            reason = error
        after = part.stat().st_size if part.exists() else 0
        if after == before:
            break
    raise ModelError(
        f'{url}: download stopped after {_size(part)} bytes ({reason}); fetch again to go on'
    )


def _append(
    opener: urllib.request.OpenerDirector, url: str, part: Path, progress: Progress
) -> bool:
    """Read the rest of the file; return whether all of it has arrived."""
    done = _size(part)
    request = urllib.request.Request(url)
    if done:
        request.add_header('Range', f'bytes={done}-')
    with opener.open(request, timeout=_TIMEOUT_S) as response:
        if response.status != 206:
            done = 0  # the server starts from the beginning
        stated = response.headers.get('Content-Length', '')
        length = int(stated) if stated.isdecimal() else 0
        total = done + length if length else 0
        if total > MAX_BYTES:
            raise ModelError(f'{url} has {total} bytes; at most {MAX_BYTES} are fetched')
        with part.open('ab' if done else 'wb') as file:
            while block := response.read(_BLOCK_BYTES):
                file.write(block)
                done += len(block)
                if done > MAX_BYTES:
                    raise ModelError(f'{url} gives more than {MAX_BYTES} bytes')
                progress(done, total)
    return not total or done >= total


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
