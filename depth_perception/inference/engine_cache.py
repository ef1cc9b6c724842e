"""Keep engines that were built and checked here, and load no others.

A plan is native code: loading one from elsewhere runs that code. Therefore the folder and its
files belong to the user alone, each plan has a sidecar with its SHA-256 and the facts it was made
for, and the sidecar is signed with a secret that never leaves the folder: a plan that was copied,
downloaded, cut off or changed is refused before any of NVIDIA's code sees it. What is loaded are
the very bytes that were checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
import hashlib
import hmac
import json
import os
from pathlib import Path
import re
import secrets
import stat
from typing import Any

from depth_perception.errors import ModelError
from depth_perception.resources import user_cache

FORMAT = 1
_GIB = 1 << 30
_MAX_SIDECAR_BYTES = 1 << 20
_SECRET = 'secret'
_SECRET_BYTES = 32
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_NAME = re.compile(r'[A-Za-z0-9._-]{1,200}')


class EngineRefusedError(ModelError):
    """A stored engine is not what was stored here for this machine, so it is not loaded."""


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on.

    Attributes:
        model: Id of the card; for people.
        facts: What must be the same for an engine to be used again; plain JSON values.
    """

    model: str
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the facts."""
        text = json.dumps({'format': FORMAT, **self.facts}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def stem(self) -> str:
        """Name of the files, without the ending."""
        return f'{re.sub(r"[^A-Za-z0-9._-]", "_", self.model)[:60]}-{self.digest[:32]}'


@dataclass(frozen=True)
class Entry:
    """One engine of the cache as its sidecar describes it.

    Attributes:
        stem: Name of its files.
        model: Id of the card.
        facts: What it was made for.
        notes: How it was checked.
        rejected: Why it must not be used; '' for one that may.
        plan: File name of the plan; '' if there is none.
        plan_sha256: Its hash.
        plan_bytes: Its size.
        created_utc: When it was stored.
    """

    stem: str
    model: str
    facts: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    rejected: str = ''
    plan: str = ''
    plan_sha256: str = ''
    plan_bytes: int = 0
    created_utc: str = ''


def engine_folder() -> Path:
    """Return where engines are kept."""
    return user_cache() / 'engines'


class EngineCache:
    """Engines on disk.

    Args:
        folder: Where they lie; made if need be, readable for the user alone.
        limit_gib: Size above which the engines that were not used longest are deleted [GiB].

    Raises:
        EngineRefusedError: If the folder belongs to somebody else, or others may write to it.
    """

    def __init__(self, folder: Path | None = None, limit_gib: float = 8.0) -> None:
        self.folder = folder or engine_folder()
        self._limit_bytes = int(limit_gib * _GIB)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._open_folder() as descriptor:
                if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o700:
                    os.fchmod(descriptor, 0o700)
        except OSError as error:
            raise EngineRefusedError(f'{self.folder} cannot be used: {error}') from error

    # Loading

    def find(self, key: EngineKey) -> Entry | None:
        """Return what is stored for a key; None if there is nothing.

        Raises:
            EngineRefusedError: If the sidecar is not one that was written here.
        """
        try:
            entry = self._read_entry(key.stem)
        except FileNotFoundError:
            return None
        if entry.facts != json.loads(json.dumps(dict(key.facts))):
            raise EngineRefusedError(f'{key.stem}: made for another network, GPU or TensorRT')
        return entry

    def load(self, entry: Entry) -> bytes:
        """Return the plan of an entry, after its hash was checked.

        Raises:
            EngineRefusedError: If the plan is missing, or not the one that was stored.
        """
        try:
            plan = self._read(entry.plan, entry.plan_bytes)
        except FileNotFoundError as error:
            raise EngineRefusedError(f'{entry.plan or entry.stem}: the plan is missing') from error
        if len(plan) != entry.plan_bytes:
            raise EngineRefusedError(
                f'{entry.plan}: {len(plan)} bytes, not the {entry.plan_bytes} that were stored'
            )
        if not hmac.compare_digest(hashlib.sha256(plan).hexdigest(), entry.plan_sha256):
            raise EngineRefusedError(f'{entry.plan}: changed since it was stored')
        with contextlib.suppress(OSError):
            os.utime(self.folder / f'{entry.stem}.json')
        return plan

    def entries(self) -> list[Entry | EngineRefusedError]:
        """Return every entry; in place of one that is not valid, why."""
        found: list[Entry | EngineRefusedError] = []
        for path in sorted(self.folder.glob('*.json')):
            try:
                found.append(self._read_entry(path.stem))
            except EngineRefusedError as error:
                found.append(error)
            except FileNotFoundError:
                continue
        return found

    # Storing

    def store(self, key: EngineKey, plan: bytes, notes: Mapping[str, Any]) -> Entry:
        """Keep a plan that was checked.

        Args:
            key: What it was made for.
            plan: The plan.
            notes: How it was checked; plain JSON values.

        Raises:
            EngineRefusedError: If it cannot be written.
        """
        digest = hashlib.sha256(plan).hexdigest()
        entry = Entry(
            key.stem,
            key.model,
            dict(key.facts),
            dict(notes),
            plan=f'{key.stem}-{digest[:12]}.plan',
            plan_sha256=digest,
            plan_bytes=len(plan),
            created_utc=_now(),
        )
        self._write(entry.plan, plan)
        self._write_entry(entry)
        self._trim(keep=key.stem)
        return entry

    def reject(self, key: EngineKey, reason: str) -> None:
        """Remember that building this is in vain, so that it is not tried at every start."""
        self._write_entry(
            Entry(key.stem, key.model, dict(key.facts), rejected=reason, created_utc=_now())
        )
        self._sweep()

    def remove(self, stem: str) -> None:
        """Delete an entry."""
        self._unlink(f'{stem}.json')
        self._sweep()

    def clear(self) -> tuple[int, int]:
        """Delete everything; return how many files and bytes that were."""
        files = [path for path in self.folder.iterdir() if not path.is_dir()]
        size = sum(path.lstat().st_size for path in files)
        for path in files:
            self._unlink(path.name)
        return len(files), size

    # The timing cache, which speeds up building and is kept under the same rules

    def load_timing(self, key: EngineKey) -> bytes:
        """Return the timing cache of a release and GPU; empty if there is no valid one."""
        with contextlib.suppress(EngineRefusedError):
            entry = self.find(key)
            if entry is not None:
                return self.load(entry)
        return b''

    # Files

    @contextlib.contextmanager
    def _open_folder(self) -> Iterator[int]:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _check_owner(os.fstat(descriptor), str(self.folder))
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, name: str, limit: int) -> bytes:
        """Return the content of a private file, one byte more than `limit` at most."""
        if not _NAME.fullmatch(name):
            raise EngineRefusedError(f'{name!r} is not the name of a file of the cache')
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self._open_folder() as folder:
                descriptor = os.open(name, flags, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise EngineRefusedError(f'{name}: {error.strerror}') from error
        with os.fdopen(descriptor, 'rb') as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
                raise EngineRefusedError(f'{name}: not a plain file with one name')
            _check_owner(facts, name)
            return file.read(limit + 1)

    def _write(self, name: str, content: bytes) -> None:
        """Write a file at once: whoever reads sees all of it or nothing."""
        temporary = f'.{name}.{secrets.token_hex(8)}'
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with self._open_folder() as folder:
                try:
                    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
                    with os.fdopen(descriptor, 'wb') as file:
                        file.write(content)
                        file.flush()
                        os.fsync(file.fileno())
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                    os.fsync(folder)
                except OSError:
                    with contextlib.suppress(OSError):
                        os.unlink(temporary, dir_fd=folder)
                    raise
        except OSError as error:
            raise EngineRefusedError(f'{self.folder / name} cannot be written: {error}') from error

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret(), text.encode(), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        try:
            secret = self._read(_SECRET, _SECRET_BYTES)
        except FileNotFoundError:
            self._write(_SECRET, secrets.token_bytes(_SECRET_BYTES))
            secret = self._read(_SECRET, _SECRET_BYTES)
        if len(secret) != _SECRET_BYTES:
            raise EngineRefusedError(f'{self.folder / _SECRET} is damaged; clear the engines')
        return secret

    def _write_entry(self, entry: Entry) -> None:
        content = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
        text = json.dumps({'format': FORMAT, **content}, sort_keys=True)
        signed = json.dumps({'entry': text, 'signature': self._signature(text)})
        self._write(f'{entry.stem}.json', signed.encode())

    def _read_entry(self, stem: str) -> Entry:
        name = f'{stem}.json'
        raw = self._read(name, _MAX_SIDECAR_BYTES)
        try:
            signed = json.loads(raw)
            text, signature = str(signed['entry']), str(signed['signature'])
            if not hmac.compare_digest(signature, self._signature(text)):
                raise EngineRefusedError(f'{name}: not written by this cache')
            values = json.loads(text)
            if values.pop('format') != FORMAT or values['stem'] != stem:
                raise EngineRefusedError(f'{name}: of another version or name')
            return Entry(**values)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EngineRefusedError(f'{name}: damaged') from error

    def _sweep(self) -> None:
        """Delete plans that no valid sidecar names."""
        named = {entry.plan for entry in self.entries() if isinstance(entry, Entry)}
        for path in self.folder.glob('*.plan'):
            if path.name not in named:
                self._unlink(path.name)

    def _trim(self, keep: str) -> None:
        """Delete what was not used longest, until the rest fits the limit."""
        self._sweep()
        entries = [e for e in self.entries() if isinstance(e, Entry) and e.plan]
        total = sum(entry.plan_bytes for entry in entries)
        for entry in sorted(entries, key=lambda e: self._used(e.stem)):
            if total <= self._limit_bytes:
                break
            if entry.stem != keep:
                total -= entry.plan_bytes
                self._unlink(f'{entry.stem}.json')
                self._unlink(entry.plan)

    def _used(self, stem: str) -> float:
        with contextlib.suppress(OSError):
            return (self.folder / f'{stem}.json').stat().st_mtime
        return 0.0


def _check_owner(facts: os.stat_result, name: str) -> None:
    if facts.st_uid != os.getuid():
        raise EngineRefusedError(f'{name} belongs to user {facts.st_uid}, not to you')
    if facts.st_mode & _OTHERS_WRITE:
        raise EngineRefusedError(f'{name}: others may write to it; it is not trusted')


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec='seconds')
