"""Compare an engine with ONNX Runtime before it is trusted.

Engines can compute something else than their network without a word; TensorRT 10.3 does so with
vision transformers in fp16. Every engine that was built runs on fixed inputs, and what it says
must be what ONNX Runtime says in fp32 on the CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from depth_perception.core.types import AnyArray
from depth_perception.inference.backend import Backend
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.engine_inputs import inputs_at, SCENES, Size
from depth_perception.inference.onnx_network import Rung
import numpy as np

_FEW = 16  # numbers of a tensor that is no map, e.g. a scale
_FLAT = 0.1  # of a map that spans less than this share of its median, the share is the range
_MAX_DIFFERENT = 0.01  # share of whole numbers and of truth values that may differ


@dataclass(frozen=True)
class Limits:
    """How much an output may differ, as a share of its range from the 5th to the 95th percentile.

    The range counts as a tenth of the median at least: half precision rounds a flat map by more
    than it spans, and a thousandth of the depth harms nobody.

    Attributes:
        mean: Mean absolute difference.
        p99: 99th percentile of the absolute difference; what is above it may be anything.
    """

    mean: float
    p99: float


LIMITS = {
    Rung.INT8: Limits(0.02, 0.1),
    Rung.HALF: Limits(0.01, 0.05),
    Rung.MIXED: Limits(0.01, 0.05),
    Rung.FULL: Limits(0.001, 0.01),
}


@dataclass(frozen=True)
class Verdict:
    """What the comparison found.

    Attributes:
        problem: Why the engine is refused; '' if it may be used.
        mean: Greatest mean difference of an output, as a share of its range.
        p99: Greatest 99th percentile.
    """

    problem: str
    mean: float
    p99: float

    @property
    def text(self) -> str:
        """The figures for people."""
        return f'differs from ONNX Runtime by {self.mean:.2g} (mean) and {self.p99:.2g} (p99)'


def used_outputs(card: ModelCard) -> frozenset[str]:
    """Return the names of the outputs that a card uses; only these are compared."""
    names = {card.output.tensor, *(mask.tensor for mask in card.masks)}
    if card.confidence is not None:
        names.add(card.confidence.tensor)
    if card.output.params.metric_scale_tensor:
        names.add(card.output.params.metric_scale_tensor)
    return frozenset(names)


def check_parity(
    engine: Backend, reference: Backend, card: ModelCard, size: Size, rung: Rung
) -> Verdict:
    """Return how an engine compares with the reference on the fixed inputs.

    Args:
        engine: What is to be trusted.
        reference: The network in ONNX Runtime on the CPU.
        card: The model.
        size: Width and height of the network [px].
        rung: Precision of the engine, which sets the limits.
    """
    verdicts = []
    for scene in range(SCENES):
        feeds = inputs_at(card, size, scene)
        wanted, found = reference.infer(feeds), engine.infer(feeds)
        verdicts.append(compare(wanted, found, used_outputs(card), LIMITS[rung]))
        if verdicts[-1].problem:
            break
    return Verdict(
        verdicts[-1].problem, max(v.mean for v in verdicts), max(v.p99 for v in verdicts)
    )


def compare(
    wanted: Mapping[str, AnyArray],
    found: Mapping[str, AnyArray],
    names: Collection[str],
    limits: Limits,
) -> Verdict:
    """Return how outputs compare with those of the reference.

    Args:
        wanted: Outputs of the reference.
        found: Outputs of the engine.
        names: Which of them count.
        limits: What is allowed.
    """
    mean = p99 = 0.0
    for name in sorted(names):
        if name not in wanted or name not in found:
            return Verdict(f'the output {name} is missing', np.inf, np.inf)
        problem, one_mean, one_p99 = _difference(wanted[name], found[name])
        mean, p99 = max(mean, one_mean), max(p99, one_p99)
        if not problem and (one_mean > limits.mean or one_p99 > limits.p99):
            problem = (
                f'differs by {one_mean:.3g} (mean) and {one_p99:.3g} (p99) of its range; '
                f'{limits.mean:g} and {limits.p99:g} are allowed'
            )
        if problem:
            return Verdict(f'{name} {problem}', mean, p99)
    return Verdict('', mean, p99)


def _difference(wanted: AnyArray, found: AnyArray) -> tuple[str, float, float]:
    """Return what is plainly wrong with an output, and its mean and 99th percentile difference."""
    if wanted.shape != found.shape:
        return f'has the shape {found.shape}, not {wanted.shape}', np.inf, np.inf
    if wanted.dtype.kind != 'f':
        share = float(np.mean(wanted != found)) if wanted.size else 0.0
        return (f'differs in {share:.1%}' if share > _MAX_DIFFERENT else ''), 0.0, 0.0
    a, b = wanted.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    known = np.isfinite(a)
    lost = int(np.count_nonzero(known & ~np.isfinite(b)))
    if lost:
        return f'is not finite at {lost} of {a.size} places where it should be', np.inf, np.inf
    if not known.any():
        return '', 0.0, 0.0
    a, b = a[known], b[known]
    largest = float(np.abs(a).max())
    unit = largest
    if a.size > _FEW:  # a map
        low, high = np.percentile(a, (5.0, 95.0))
        unit = max(float(high - low), _FLAT * float(np.median(np.abs(a))))
    error = np.abs(a - b) / max(unit, 1e-6 * largest, 1e-12)
    return '', float(error.mean()), float(np.percentile(error, 99.0))
