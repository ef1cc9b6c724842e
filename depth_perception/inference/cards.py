"""Model cards: what a network file wants, what its numbers mean, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import difflib
import hashlib
import math
from pathlib import Path
from typing import Any, Literal

from depth_perception.errors import DepthPerceptionError, ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.card_schema import (
    ArtifactSpec,
    ConfidenceSpec,
    GoldenSpec,
    InputSpec,
    MaskSpec,
    OutputSpec,
    read_section,
    RELATIVE_KINDS,
    ResizeSpec,
    RuntimeSpec,
    ScaleSpec,
    SCHEMA_VERSION,
    UncertaintySpec,
)
from depth_perception.resources import resource_path, user_cache
import numpy as np
import yaml

_MAX_CARD_BYTES = 64 * 1024
_MAX_BASES = 8
_MAX_NOISE = 1 << 26  # numbers
_MAX_RUNS = 64
ANY_TENSOR = '*'


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One network or matcher, described so that it can be run without code of its own.

    Attributes:
        matcher: Builtin matcher whose matches are put together with the answer of the network.
        path: File the card was read from; not a key of the card.
    """

    id: str
    task: Literal['mono', 'stereo']
    summary: str = ''
    schema: int = SCHEMA_VERSION
    artifact: ArtifactSpec
    backend: str = 'onnx'
    matcher: Literal['', 'sgbm'] = ''
    params: dict[str, Any] = field(default_factory=dict)
    runtime: RuntimeSpec = field(default_factory=RuntimeSpec)
    inputs: tuple[InputSpec, ...]
    resize: ResizeSpec
    output: OutputSpec
    masks: tuple[MaskSpec, ...] = ()
    confidence: ConfidenceSpec | None = None
    scale: ScaleSpec = field(default_factory=ScaleSpec)
    uncertainty: UncertaintySpec = field(default_factory=UncertaintySpec)
    golden: GoldenSpec | None = None
    path: Path = field(default=Path(), compare=False)

    @property
    def is_relative(self) -> bool:
        """Whether the output needs a scale from elsewhere before it is metric."""
        return self.output.up_to_scale or self.output.kind in RELATIVE_KINDS

    @property
    def builtin(self) -> str | None:
        """Name of the builtin matcher, for cards without a network file."""
        return self.backend.partition(':')[2] if self.backend.startswith('builtin:') else None


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a card has no use for them, and a bomb of them needs them."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases (&x, *x) are not allowed in a model card')
        return super().compose_node(parent, index)


def card_folders() -> list[Path]:
    """Return the folders that hold cards: the package's own, then the user's."""
    return [resource_path('models'), user_cache() / 'models']


def available_cards() -> list[ModelCard]:
    """Return all cards that can be found, in the order of their ids.

    Raises:
        ModelError: If a card breaks the schema; the message names the file.
    """
    paths = {path.stem: path for folder in reversed(card_folders()) for path in _cards_in(folder)}
    return [load_card(str(path)) for _, path in sorted(paths.items())]


def load_card(id_or_path: str) -> ModelCard:
    """Return the card with this id, or read the card file at this path.

    Raises:
        ModelError: If there is no such card (the ids there are get listed), or it breaks the
            schema.
    """
    path = _card_path(id_or_path)
    try:
        values = _merged(path, 0)
        card = _read_card(values, path)
    except ModelError as error:
        raise ModelError(f'{path.name}: {error}') from error
    return card


def artifact_path(card: ModelCard) -> Path:
    """Return the network file of a card, after its hash was checked.

    It is looked for beside the card, then among the fetched models. A card without a sha256 is
    taken as it is; `depth_perception models verify` says so.

    Raises:
        ModelError: If the file is not there (the message says how to get it), or is another one.
    """
    name = card.artifact.file
    if not name or Path(name).name != name:
        raise ModelError(f'{card.id}: artifact.file must be a plain file name, got {name!r}')
    places = [card.path.parent / name, user_cache() / 'models' / name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ModelError(
            f'{card.id}: {name} is not in {" or ".join(str(p.parent) for p in places)}; '
            f'{how_to_get(card)}'
        )
    digest = file_sha256(found)
    if card.artifact.sha256 and digest != card.artifact.sha256:
        raise ModelError(
            f'{found} has sha256 {digest}, the card {card.id} wants {card.artifact.sha256}; '
            'delete the file and fetch it again'
        )
    return found


def how_to_get(card: ModelCard) -> str:
    """Return what to do for the file of a card, as the end of a message."""
    if card.artifact.source:
        return f'get it with `depth_perception models fetch {card.id}`'
    made = f' ({card.artifact.export})' if card.artifact.export else ''
    folder = user_cache() / 'models'
    return f'nobody offers it for download: make it{made} and put it into {folder}'


def with_tensor_names(card: ModelCard, backend: Backend) -> ModelCard:
    """Return the card with the real name where it says `*`, the only input or output.

    Raises:
        ModelError: If the file has other inputs than the card feeds, or `*` could be several.
    """
    there = sorted(spec.name for spec in backend.inputs)
    inputs, output = card.inputs, card.output
    if len(there) == 1 and len(inputs) == 1 and inputs[0].tensor == ANY_TENSOR:
        inputs = (replace(inputs[0], tensor=there[0]),)
    wanted = sorted(spec.tensor for spec in inputs)
    if wanted != there:
        raise ModelError(
            f'{card.id}: the card feeds {", ".join(wanted)} but the file wants {", ".join(there)}'
        )
    if output.tensor == ANY_TENSOR:
        names = [spec.name for spec in backend.outputs]
        if len(names) != 1:
            raise ModelError(
                f'{card.id}: the file has the outputs {", ".join(names)}; the card must name one'
            )
        output = replace(output, tensor=names[0])
    return replace(card, inputs=inputs, output=output)


def file_sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _cards_in(folder: Path) -> list[Path]:
    """Return the cards of a folder; calibration files (*.sigma.yaml) are none."""
    return [path for path in folder.glob('*.yaml') if not path.name.endswith('.sigma.yaml')]


def _card_path(id_or_path: str) -> Path:
    path = Path(id_or_path).expanduser()
    if path.suffix in ('.yaml', '.yml'):
        if path.is_file():
            return path
        raise ModelError(f'model card {path} does not exist')
    folders = card_folders()
    for folder in folders:
        candidate = folder / f'{id_or_path}.yaml'
        if candidate.parent == folder and candidate.is_file():
            return candidate
    known = sorted({path.stem for folder in folders for path in _cards_in(folder)})
    alike = difflib.get_close_matches(id_or_path, known) or known
    told = 'did you mean' if alike is not known else 'there are'
    raise ModelError(
        f'there is no model {id_or_path!r}; {told} {", ".join(alike)}'
        f'{"? `depth_perception models list` has all" if alike is not known else ""}'
    )


def _merged(path: Path, depth: int) -> dict[str, Any]:
    """Return the values of a card file, laid over those of its `base`."""
    if path.stat().st_size > _MAX_CARD_BYTES:
        raise ModelError(f'a card has at most {_MAX_CARD_BYTES} bytes')
    try:
        values = yaml.load(path.read_text('utf-8'), _PlainLoader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f'not readable as YAML: {error}') from error
    if not isinstance(values, dict):
        raise ModelError('a card is a mapping')
    base = values.pop('base', None)
    if base is None:
        return values
    if depth >= _MAX_BASES:
        raise ModelError(f'more than {_MAX_BASES} cards lie below each other (a loop of `base`?)')
    parent = _merged(_card_path(str(base)), depth + 1)
    return _overlaid(parent, values)


def _overlaid(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """Return `parent` with `child` on top: mappings merge, everything else is replaced."""
    result = dict(parent)
    for key, value in child.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _overlaid(result[key], value) if both else value
    return result


def _read_card(values: dict[str, Any], path: Path) -> ModelCard:
    if 'path' in values:
        raise ModelError('unknown key path')
    card = replace(read_section(ModelCard, values, 'card'), path=path)
    if card.schema != SCHEMA_VERSION:
        raise ModelError(f'schema is {card.schema}, this version reads {SCHEMA_VERSION}')
    if card.output.kind == 'depth_focal' and card.output.focal is None:
        raise ModelError('output.focal is missing, depth_focal needs it')
    if card.task == 'mono' and card.output.kind == 'disparity_px':
        raise ModelError('output.kind: disparity_px needs a stereo pair, but task is mono')
    if card.matcher and (card.task == 'mono' or card.builtin is not None):
        raise ModelError('matcher: only a stereo network can be put together with a matcher')
    try:
        _check_ranges(card)
    except DepthPerceptionError as error:
        raise ModelError(str(error)) from error
    return card


def _check_ranges(card: ModelCard) -> None:
    if card.output.range_m and not (
        len(card.output.range_m) == 2 and 0.0 < card.output.range_m[0] < card.output.range_m[1]
    ):
        raise ModelError(f'output.range_m must be [min, max] [m], got {card.output.range_m}')
    for spec in card.inputs:
        _check_input(spec, card.task)
    _check_resize(card.resize)
    _check_scores(card)
    params, focal = card.output.params, card.output.focal
    if not 0.0 < params.z_min < params.z_max:
        raise ModelError(f'output.params: {params.z_min} to {params.z_max} m is no range')
    if min(params.rig_gain, params.baseline_m, focal.reference if focal else 1.0) <= 0.0:
        raise ModelError('output: focal.reference, rig_gain and baseline_m must be positive')
    if card.output.channel is not None and card.output.channel < 0:
        raise ModelError(f'output.channel must be 0 or more, got {card.output.channel}')


def _check_input(spec: InputSpec, task: str) -> None:
    if spec.divide == 0.0 or 0.0 in spec.std:
        raise ModelError(f'input {spec.tensor}: divide and std must not be 0')
    if not spec.mean or not spec.std:
        raise ModelError(f'input {spec.tensor}: mean and std want a number per channel')
    if spec.shrink < 1:
        raise ModelError(f'input {spec.tensor}: shrink must be at least 1')
    if task == 'mono' and spec.source in ('right', 'pair_concat'):
        raise ModelError(f'input {spec.tensor}: {spec.source} needs a stereo pair')
    if spec.source == 'noise' and not _is_shape(spec.value):
        raise ModelError(f'input {spec.tensor}: value must be the shape of the noise')
    if spec.source == 'const':
        try:
            np.asarray(spec.value, dtype=spec.dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f'input {spec.tensor}: value is no {spec.dtype}: {error}') from error


def _is_shape(value: Any) -> bool:
    sides = value if isinstance(value, list) else [0]
    plain = all(type(side) is int and side > 0 for side in sides)
    return plain and 0 < math.prod(sides) <= _MAX_NOISE


def _check_scores(card: ModelCard) -> None:
    scores, confidence = card.uncertainty.scores, card.confidence
    floor = max(card.uncertainty.relative_floor, card.uncertainty.disparity_floor_px)
    ranks = confidence is not None and (
        confidence.meaning == 'prob' or confidence.scope == 'rank_in_image'
    )
    if ranks and floor <= 0.0:
        raise ModelError('confidence without a unit needs uncertainty.relative_floor above 0')
    numbers = scores.lr_limit_px, scores.edge_px, scores.range_base, scores.range_per_m
    if card.uncertainty.disparity_limit_px < 0.0:
        raise ModelError('uncertainty.disparity_limit_px must not be negative')
    if min(numbers) < 0.0:
        raise ModelError('uncertainty.scores: limits, pixels and shares must not be negative')
    if not 0.0 <= scores.temporal_memory < 1.0:
        raise ModelError('uncertainty.scores.temporal_memory must be 0 or above and below 1')
    if not 2 <= scores.monte_carlo_runs <= _MAX_RUNS or len(scores.ensemble) >= _MAX_RUNS:
        raise ModelError(f'uncertainty.scores: 2 to {_MAX_RUNS} runs make a spread')


def _check_resize(spec: ResizeSpec) -> None:
    if spec.multiple < 1:
        raise ModelError('resize.multiple must be at least 1')
    if spec.policy not in ('none', 'pad') and spec.size is None:
        raise ModelError(f'resize.size is missing, {spec.policy} needs it')
    size = 1 if spec.size is None else spec.size
    sides = size if isinstance(size, tuple) else (size, size)
    if len(sides) != 2 or min(sides) < 1:
        raise ModelError(f'resize.size must be one number or two, all positive, got {spec.size}')
    if len(spec.pad.value) > 4:
        raise ModelError(f'resize.pad.value has at most 4 numbers, got {len(spec.pad.value)}')
