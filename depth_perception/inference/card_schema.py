"""The schema of model cards as frozen dataclasses, and a strict reader for it.

An unknown key, a missing one or a value of another type is an error that names its place, e.g.
`output.kind`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, MISSING
import types
from typing import Any, get_args, get_origin, get_type_hints, Literal, TypeVar, Union

from depth_perception.errors import ModelError

T = TypeVar('T')
SCHEMA_VERSION = 1
_LARGEST = 1e30  # of a float; NaN and infinity say nothing that a card could mean

Kind = Literal[
    'inv_depth_affine', 'depth_affine', 'depth_scale', 'depth_metric', 'depth_focal',
    'inv_depth_fov', 'points_affine_z', 'points_metric', 'disparity_px', 'disparity_sigmoid',
    'disparity_width', 'log_depth',
]  # fmt: skip
RELATIVE_KINDS = ('inv_depth_affine', 'depth_affine', 'depth_scale')


@dataclass(frozen=True)
class ArtifactSpec:
    """The file of the network: where it comes from, its hash and its licence."""

    licence: str
    commercial: bool | Literal['check']
    file: str = ''
    sha256: str = ''
    format: Literal['onnx'] = 'onnx'
    opset: int = 17
    source: str = ''
    export: str = ''
    bytes: int = 0


@dataclass(frozen=True)
class RuntimeSpec:
    """How the network wants to be run."""

    precision: tuple[Literal['fp16', 'fp32'], ...] = ('fp32',)
    fp32_layers: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    shape: Literal['static', 'dynamic'] = 'dynamic'
    min: tuple[int, ...] = ()
    opt: tuple[int, ...] = ()
    max: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One input tensor: what it is made from, and its normalisation (x / divide - mean) / std.

    `tensor: "*"` is the only input, whatever its name. With `shrink: 2` the image comes at half
    the size that `resize` gives.
    """

    tensor: str
    source: Literal[
        'left', 'right', 'pair_concat', 'rays', 'intrinsics', 'ground_inverse_depth', 'noise',
        'const',
    ]  # fmt: skip
    value: Any = None
    layout: Literal['NCHW', 'NHWC', 'HW'] = 'NCHW'
    dtype: Literal['float32', 'float16', 'uint8', 'int64'] = 'float32'
    color: Literal['rgb', 'bgr', 'gray'] = 'rgb'
    divide: float = 255.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    shrink: int = 1


@dataclass(frozen=True)
class PadSpec:
    """How an image is padded; `place` is where the image lies inside."""

    mode: Literal['constant', 'replicate', 'reflect'] = 'constant'
    value: tuple[float, ...] = (0.0, 0.0, 0.0)
    place: Literal['center', 'top_left', 'bottom_left'] = 'center'


@dataclass(frozen=True)
class ResizeSpec:
    """How an image is brought to the size of the network."""

    policy: Literal[
        'stretch', 'lower_bound', 'upper_bound', 'minimal', 'letterbox', 'pad', 'area_range',
        'none',
    ]  # fmt: skip
    size: int | tuple[int, ...] | None = None
    multiple: int = 1
    round: Literal['nearest', 'floor', 'ceil'] = 'nearest'
    interp: Literal['linear', 'cubic', 'area', 'auto'] = 'linear'
    pad: PadSpec = field(default_factory=PadSpec)


@dataclass(frozen=True)
class FocalSpec:
    """The canonical focal length of `depth_focal` [px of the network input].

    It stands for the mean of fx and fy, for fx, or for fx of the image times the scale of a
    letterbox before its sides were rounded down to whole pixels.
    """

    reference: float
    use: Literal['mean', 'fx', 'scale'] = 'mean'


@dataclass(frozen=True)
class OutputParams:
    """Numbers that some kinds need.

    Attributes:
        keep_unseen: Whether a disparity counts where the right image ends before it: of networks
            that have learned to guess there, and whose sigma tells that they guess.
    """

    z_min: float = 0.1
    z_max: float = 100.0
    max_disp: float | None = None
    min_disp: float = 0.0
    keep_unseen: bool = False
    metric_scale_tensor: str | None = None
    rig_gain: float = 5.4
    baseline_m: float = 0.54


@dataclass(frozen=True)
class ResampleSpec:
    """How the output returns to the grid of the input."""

    interp: Literal['linear', 'nearest'] = 'linear'
    domain: Literal['inv_depth'] = 'inv_depth'


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """The main output tensor and what its numbers mean.

    `tensor: "*"` is the only output, whatever its name. With `up_to_scale` a kind that is metric
    by itself is so up to one factor only.
    """

    tensor: str
    kind: Kind
    layout: Literal['NCHW', 'NHWC'] = 'NCHW'
    channel: int | None = None
    gain: float = 1.0
    bias: float = 0.0
    focal: FocalSpec | None = None
    params: OutputParams = field(default_factory=OutputParams)
    geometry: Literal['z', 'ray'] = 'z'
    range_m: tuple[float, ...] = ()
    saturate: float | None = None
    up_to_scale: bool = False
    resample: ResampleSpec = field(default_factory=ResampleSpec)


@dataclass(frozen=True, kw_only=True)
class MaskSpec:
    """A tensor that says where the output holds; elsewhere it is invalid, or far."""

    tensor: str
    op: Literal['>', '<', '>=', '<=']
    value: float
    otherwise: Literal['invalid', 'far'] = 'invalid'


@dataclass(frozen=True, kw_only=True)
class ConfidenceSpec:
    """A tensor that says how sure the network is, and in which terms."""

    tensor: str
    meaning: Literal[
        'sigma', 'variance', 'log_sigma', 'log_variance', 'prob', 'precision', 'log_error', 'none'
    ]
    domain: Literal['disparity', 'inv_depth', 'depth', 'log_depth', 'raw'] = 'raw'
    better: Literal['high', 'low'] = 'high'
    scope: Literal['pixel_sigma', 'rank_in_image'] = 'pixel_sigma'


@dataclass(frozen=True)
class PriorSpec:
    """A stored scale, the last resort of a relative network."""

    s: float
    t: float = 0.0
    sigma: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ScaleSpec:
    """Which ways to a metric scale apply."""

    modes: tuple[Literal['intrinsics', 'sparse', 'stereo', 'ground', 'prior', 'none'], ...] = ()
    prior: PriorSpec | None = None


Source = Literal[
    'confidence', 'flip', 'lr', 'edge', 'range', 'photometric', 'tta', 'ensemble', 'monte_carlo',
    'residual', 'temporal',
]  # fmt: skip
Augmentation = Literal['flip', 'smaller', 'larger', 'darker', 'brighter']


@dataclass(frozen=True)
class ScoreSpec:
    """Parameters of the raw scores; see docs/model_cards.md.

    Attributes:
        fuse: Whether the answers of several runs are averaged, or only compared.
        flip_border: Whether the borders take one of the two answers only, as Monodepth does.
        lr_limit_px: Left-right difference above which a match is invalid [px].
        edge_px: Misplacement of edges [px].
        range_base: Relative sigma at the camera.
        range_per_m: What every metre adds to it [1/m].
        augmentations: Runs of `tta` beside the plain one; sizes times 0.8 and 1.25, grey levels
            to the power of 1.25 and 0.8.
        ensemble: Ids of the cards that answer, too.
        monte_carlo_runs: Number of runs of a network with a random input or dropout.
        temporal_memory: Weight of the past in the mean of r^2.
    """

    fuse: bool = True
    flip_border: bool = False
    lr_limit_px: float = 1.0
    edge_px: float = 0.5
    range_base: float = 0.0
    range_per_m: float = 0.02
    augmentations: tuple[Augmentation, ...] = ('flip', 'smaller', 'larger', 'darker', 'brighter')
    ensemble: tuple[str, ...] = ()
    monte_carlo_runs: int = 8
    temporal_memory: float = 0.7


@dataclass(frozen=True)
class UncertaintySpec:
    """Where the standard deviation comes from."""

    sources: tuple[Source, ...] = ()
    scores: ScoreSpec = ScoreSpec()
    calibration: str = ''
    relative_floor: float = 0.1
    disparity_floor_px: float = 0.0
    disparity_limit_px: float = 0.0


@dataclass(frozen=True)
class GoldenSpec:
    """Statistics of the output on a fixed input, to recognise a wrong file."""

    input: str
    output_mean: float
    output_p05: float
    output_p95: float
    rtol: float = 0.02


# Keys that are words of Python or read better in YAML.
_YAML_NAMES = {(InputSpec, 'source'): 'from', (MaskSpec, 'otherwise'): 'else'}


def read_section(cls: type[T], values: Any, place: str) -> T:
    """Return `values` as an instance of one of the dataclasses above.

    Args:
        cls: What to make.
        values: A mapping as PyYAML gives it.
        place: Where it stands in the card, for messages.

    Raises:
        ModelError: If a key is unknown or missing, or a value has another type.
    """
    if not isinstance(values, dict):
        raise ModelError(f'{place}: wants a mapping, got {values!r}')
    hints = get_type_hints(cls)
    names = {_YAML_NAMES.get((cls, f.name), f.name): f for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in values.keys() - names.keys())
    if unknown:
        raise ModelError(
            f'{place}: unknown key {", ".join(unknown)}; known are {", ".join(names)}'
        )
    arguments = {}
    for name, f in names.items():
        if name in values:
            arguments[f.name] = _read(hints[f.name], values[name], f'{place}.{name}')
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ModelError(f'{place}: {name} is missing')
    return cls(**arguments)


def _read(hint: Any, value: Any, place: str) -> Any:
    """Return `value` as the annotated type."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return read_section(hint, value, place)
    if origin is Literal:
        return _read_choice(get_args(hint), value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise ModelError(f'{place}: wants a list, got {value!r}')
        kind = get_args(hint)[0]
        return tuple(_read(kind, item, f'{place}[{i}]') for i, item in enumerate(value))
    if origin in (Union, types.UnionType):
        return _read_union(get_args(hint), value, place)
    return _read_plain(dict if origin is dict else hint, value, place)


def _read_plain(kind: type[Any], value: Any, place: str) -> Any:
    if kind is float and type(value) in (int, float) and abs(value) < _LARGEST:
        return float(value)
    if kind is float or type(value) is not kind:
        raise ModelError(f'{place}: wants {kind.__name__}, got {value!r}')
    return value


def _read_choice(choices: tuple[Any, ...], value: Any, place: str) -> Any:
    if isinstance(value, str) and value in choices:
        return value
    raise ModelError(f'{place}: {value!r} is not one of {", ".join(choices)}')


def _read_union(choices: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _read(choice, value, place)
        except ModelError as error:
            problems.append(str(error))
    raise ModelError(' or '.join(problems))
