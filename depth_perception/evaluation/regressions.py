"""Whether B is worse than A by more than may be: a comparison as a condition for CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

from depth_perception.errors import SettingsError
from depth_perception.evaluation.comparison import Row, Wanted, wanted_of
from depth_perception.evaluation.gates import GateResult


@dataclass(frozen=True)
class Tolerance:
    """How much worse B may be in one figure.

    Attributes:
        text: As it was given.
        wanted: The figure.
        amount: In the unit of the figure, or a share of the value of A where `relative`.
        relative: Whether it is a share.
    """

    text: str
    wanted: Wanted
    amount: float
    relative: bool

    def limit(self, a: float) -> float:
        """Return the most by which B may be worse, in the unit of the figure."""
        return self.amount * abs(a) if self.relative else self.amount


def parse_tolerance(text: str) -> Tolerance:
    """Return what `[LABEL/]NAME[.STAT][:TOLERANCE]` means.

    TOLERANCE is in the unit of the figure, 0 if not given; with % it is relative to A.

    Raises:
        SettingsError: If the text cannot be read, or names what there is not.
    """
    name, colon, amount = text.strip().partition(':')
    wanted = wanted_of(name)
    try:
        value = float(amount.strip().rstrip('%')) if colon else 0.0
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0.0:
        raise SettingsError(f'{text!r}: {amount!r} is no tolerance; wanted for example 0.01 or 5%')
    relative = amount.strip().endswith('%')
    return Tolerance(text.strip(), wanted, value / 100.0 if relative else value, relative)


def check_tolerances(
    rows: Sequence[Row], tolerances: Sequence[Tolerance], model: str
) -> list[GateResult]:
    """Return which tolerances are broken.

    One is broken if B is shown to be worse by more than it: if the whole 95 % interval of the
    difference lies beyond it, or, with too few frames for an interval, the difference itself.
    What was not measured on any common frame breaks it too.

    Args:
        rows: As `compare` returns them, with a row for every tolerance.
        tolerances: As `parse_tolerance` returns them.
        model: Name of B in the results.
    """
    found: Mapping[str, Row] = {row.key: row for row in rows}
    return [_check(found.get(one.wanted.name), one, model) for one in tolerances]


def _check(row: Row | None, tolerance: Tolerance, model: str) -> GateResult:
    if row is None or not math.isfinite(row.difference):
        reason = f'no data: no common frame has {tolerance.wanted.name}'
        return GateResult(tolerance.text, model, math.nan, True, reason)
    worse, least = row.cost
    limit = tolerance.limit(row.a)
    unit = f' {row.metric.unit}'.rstrip()
    if worse > 0.0:
        reason = (
            f'worse by {worse:.4g}{unit}, surely by {max(least, 0.0):.4g}, allowed is {limit:.4g}'
        )
    else:
        reason = f'better by {-worse:.4g}{unit}' if worse else 'not changed'
    reason = f'{row.key} is {reason}'
    return GateResult(tolerance.text, model, row.difference, least > limit, reason)
