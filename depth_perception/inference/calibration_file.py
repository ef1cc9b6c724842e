"""Calibration files: the sigma curve of a model, what it was made from, and how good it is.

A file is `<model>.sigma.yaml`. Its schema is versioned; an unknown key, a missing one or a value
of another type is an error that names its place. It holds numbers only, never code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
import os
from pathlib import Path
import re
import tempfile
from typing import Any, Literal

from depth_perception.core.calibration_curve import PowerCurve, SigmaCurve, TableCurve
from depth_perception.errors import CalibrationError, DepthPerceptionError, ModelError
from depth_perception.inference.card_schema import read_section
import yaml

SCHEMA_VERSION = 1
MAX_BYTES = 64 * 1024
_MOST_KNOTS = 256
_MOST_BRACKETS = 500
_SHA256 = re.compile('[0-9a-f]{64}')

Domain = Literal['disparity_px', 'inverse_depth_1_per_m', 'log_depth', 'output']


@dataclass(frozen=True)
class PowerSpec:
    """sigma = sqrt((a u^gamma)^2 + b^2)."""

    a: float
    gamma: float
    b: float


@dataclass(frozen=True)
class TableSpec:
    """A rising sigma at rising scores."""

    score: tuple[float, ...]
    sigma: tuple[float, ...]


@dataclass(frozen=True)
class BagSpec:
    """One recording that was used.

    Attributes:
        name: What the user called it; for people, never opened.
        sha256: Of its storage files, see `evaluation.bag_hash`.
        frames: Frames used.
        pixels: Pixels used.
    """

    name: str
    sha256: str
    frames: int
    pixels: int


@dataclass(frozen=True)
class ProvenanceSpec:
    """What a calibration was made from, by what and when."""

    bags: tuple[BagSpec, ...]
    package_version: str
    created_utc: str
    command: tuple[str, ...] = ()
    note: str = ''


@dataclass(frozen=True)
class FiguresSpec:
    """What was reached on recordings held out of the fit; see `CalibrationFigures`.

    `spearman` is None where it is not defined.
    """

    pixels: int
    within_1_sigma: float
    within_2_sigma: float
    beyond_5_sigma: float
    ence: float
    ence_robust: float
    spearman: float | None = None


@dataclass(frozen=True, kw_only=True)
class CalibrationFile:
    """The calibrated sigma of one model in one kind of surroundings.

    Attributes:
        model: Id of the card.
        model_sha256: Of the network file; empty for builtin matchers.
        domain: What error and sigma are in.
        score: Which raw score the curve is for, e.g. 'matcher_sigma'.
        form: Which of `power` and `table` is there.
        settings: Settings of the model that change its score, as they were.
        path: File it was read from; not a key of the file.
    """

    model: str
    domain: Domain
    score: str
    form: Literal['power', 'table']
    provenance: ProvenanceSpec
    figures: FiguresSpec
    schema: int = SCHEMA_VERSION
    model_sha256: str = ''
    power: PowerSpec | None = None
    table: TableSpec | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    path: Path = field(default=Path(), compare=False)

    @property
    def curve(self) -> SigmaCurve:
        """The curve.

        Raises:
            CalibrationError: If its numbers are out of range.
        """
        if self.power is not None:
            return PowerCurve(self.power.a, self.power.gamma, self.power.b)
        if self.table is not None:
            return TableCurve(self.table.score, self.table.sigma)
        raise CalibrationError(f'the calibration of {self.model} holds no curve')

    def check_model(self, model: str, sha256: str) -> None:
        """Check that this was made for a model.

        Raises:
            ModelError: If it was made for another one, or for another version of its file.
        """
        if model != self.model:
            raise ModelError(f'{self.path}: calibrates {self.model}, not {model}')
        if sha256 != self.model_sha256:
            raise ModelError(
                f'{self.path}: made for {model} with sha256 {self.model_sha256 or "(builtin)"}, '
                f'but the model here has {sha256 or "(builtin)"}; calibrate it again'
            )


def curve_sections(curve: SigmaCurve) -> dict[str, Any]:
    """Return the arguments `form`, `power` and `table` of a CalibrationFile for a curve."""
    if isinstance(curve, PowerCurve):
        return {'form': 'power', 'power': PowerSpec(curve.a, curve.gamma, curve.b)}
    return {'form': 'table', 'table': TableSpec(curve.score, curve.sigma)}


def read_calibration(path: Path) -> CalibrationFile:
    """Return what a calibration file holds.

    Raises:
        ModelError: If it cannot be read, has more than 64 KiB, or breaks the schema.
    """
    try:
        with path.open('rb') as file:
            data = file.read(MAX_BYTES + 1)
        return replace(_parsed(data), path=path)
    except (DepthPerceptionError, OSError) as error:
        raise ModelError(f'{path}: {error}') from error


def write_calibration(calibration: CalibrationFile, path: Path) -> None:
    """Write a calibration file; whoever reads `path` meanwhile sees the old one or the new one.

    Raises:
        ModelError: If the calibration breaks the schema, or the file cannot be written.
    """
    values = {
        key: value
        for key, value in asdict(calibration).items()
        if key != 'path' and value is not None
    }
    try:
        text = yaml.safe_dump(_plain(values), sort_keys=False, allow_unicode=True, width=99)
        data = text.encode('utf-8')
        if _parsed(data) != calibration:
            raise ModelError('a value does not survive being written; use plain numbers and text')
        _replace_file(path, data)
    except (DepthPerceptionError, OSError, yaml.YAMLError) as error:
        raise ModelError(f'{path}: cannot write the calibration: {error}') from error


def _replace_file(path: Path, data: bytes) -> None:
    """Write beside `path` and rename; the temporary file never stays behind."""
    handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _parsed(data: bytes) -> CalibrationFile:
    """Return the content of a file, all of it checked."""
    if len(data) > MAX_BYTES:
        raise ModelError(f'a calibration has at most {MAX_BYTES} bytes')
    try:
        text = data.decode('utf-8')
        if text.count('[') + text.count('{') > _MOST_BRACKETS:  # PyYAML takes their square
            raise ModelError(f'not readable as YAML: more than {_MOST_BRACKETS} [ and {{')
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ModelError('aliases (&x, *x) are not allowed in a calibration')
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f'not readable as YAML: {error}') from error
    if isinstance(values, dict) and values.get('schema') != SCHEMA_VERSION:
        raise ModelError(
            f'schema is {values.get("schema")!r}, this version reads {SCHEMA_VERSION}'
        )
    if isinstance(values, dict) and 'path' in values:
        raise ModelError('calibration: unknown key path')
    found = read_section(CalibrationFile, values, 'calibration')
    _check(found)
    return found


def _check(found: CalibrationFile) -> None:
    """Check what types cannot say."""
    there = {name for name in ('power', 'table') if getattr(found, name) is not None}
    if there != {found.form}:
        raise ModelError(f'calibration: form is {found.form}, so {found.form} alone is wanted')
    if found.table is not None and len(found.table.score) > _MOST_KNOTS:
        raise ModelError(f'calibration.table: has more than {_MOST_KNOTS} knots')
    _ = found.curve
    hashes = [bag.sha256 for bag in found.provenance.bags]
    for digest in (*hashes, *([found.model_sha256] if found.model_sha256 else [])):
        if not _SHA256.fullmatch(digest):
            raise ModelError(f'calibration: {digest!r} is no sha256 (64 hexadecimal digits)')
    for key, value in found.settings.items():
        if type(key) is not str or type(value) not in (bool, int, float, str):
            raise ModelError(f'calibration.settings: {key!r} is not a plain setting')


def _plain(value: Any) -> Any:
    """Return tuples as lists, of which YAML knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
