"""One entry of the catalogue of figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What a figure is called, what it means and how it is averaged.

    Attributes:
        name: Name in reports and gates, without the label.
        title: Name in tables and charts.
        unit: Unit, '' for a ratio or a share of 0..1.
        group: 'depth', 'range', 'disparity', 'sigma', 'structure', 'time', 'cloud' or 'speed'.
        better: 'lower', 'higher' or 'target'.
        definition: One sentence: the formula, and where it comes from. y is the prediction, g
            the truth, both of one pixel; sigma is the published one, e = y - g.
        target: The value of an ideal estimate, only where `better` is 'target'.
        kind: How frames make one figure. 'mean' over the frames where it is defined; 'pooled'
            from the sums of all frames; 'percentile': the median, beside p95, p99 and maximum;
            'run': one value per run, the mean over runs weighted by their frames.
        sums: Name of the vector of a pooled figure: (numerator, denominator).
        factor: What the pooled quotient is multiplied by, 100 for [%].
    """

    name: str
    title: str
    unit: str
    group: str
    better: str
    definition: str
    target: float | None = None
    kind: str = 'mean'
    sums: str = ''
    factor: float = 1.0
