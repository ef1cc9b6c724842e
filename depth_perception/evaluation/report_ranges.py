"""The figures of each model by the distance of the truth, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
import math
from typing import Any

from depth_perception.evaluation.report_charts import range_names
from depth_perception.evaluation.report_values import text_of

Sums = Mapping[str, Any]
_COLUMNS: tuple[tuple[str, str, str, Callable[[float], float]], ...] = (
    ('coverage [%]', 'range_pixels', 'range_truth', lambda q: 100.0 * q),
    ('AbsRel [%]', 'range_abs_rel_sum', 'range_pixels', lambda q: 100.0 * q),
    ('MAE [m]', 'range_abs_sum_m', 'range_pixels', lambda q: q),
    ('RMSE [m]', 'range_square_sum_m2', 'range_pixels', math.sqrt),
    ('delta1', 'range_delta1', 'range_pixels', lambda q: q),
    ('EPE [px]', 'range_epe_sum_px', 'range_disparity_pixels', lambda q: q),
    ('bad-1 [%]', 'range_bad_1', 'range_disparity_pixels', lambda q: 100.0 * q),
    ('bad-2 [%]', 'range_bad_2', 'range_disparity_pixels', lambda q: 100.0 * q),
    ('D1 [%]', 'range_d1', 'range_disparity_pixels', lambda q: 100.0 * q),
)


def range_table(series: Sequence[tuple[str, Sums]], edges_m: Sequence[float]) -> str:
    """Return a table of all figures by range; '' if there are none.

    Args:
        series: (model, its sums by name) of one label.
        edges_m: Lower ends of the bins [m].
    """
    columns = [c for c in _COLUMNS if any(c[1] in sums and c[2] in sums for _, sums in series)]
    body = []
    for model, sums in series:
        rows = [
            _row(name, sums, index, columns)
            for index, name in enumerate(range_names(edges_m))
            if _at(sums, 'range_truth', index) > 0.0
        ]
        if rows:
            span = len(columns) + 2
            body.append(
                f'<tr class="group"><th scope="colgroup" colspan="{span}">{escape(model)}</th>'
                f'</tr>{"".join(rows)}'
            )
    if not body:
        return ''
    head = ''.join(f'<th scope="col">{title}</th>' for title, *_ in columns)
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="Figures by range"><table>'
        f'<thead><tr><th scope="col">range</th><th scope="col">pixels with truth</th>{head}</tr>'
        f'</thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _row(
    name: str,
    sums: Sums,
    index: int,
    columns: Sequence[tuple[str, str, str, Callable[[float], float]]],
) -> str:
    cells = [text_of(_at(sums, 'range_truth', index))]
    for _, top, bottom, shown in columns:
        count = _at(sums, bottom, index)
        total = _at(sums, top, index)
        value = shown(total / count) if count > 0.0 and total >= 0.0 else math.nan
        cells.append(text_of(value))
    listed = ''.join(f'<td>{escape(cell)}</td>' for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{listed}</tr>'


def _at(sums: Sums, name: str, index: int) -> float:
    """Return one number of a vector; NaN where there is none."""
    vector = sums.get(name)
    if not isinstance(vector, list | tuple) or index >= len(vector):
        return math.nan
    value = vector[index]
    return float(value) if isinstance(value, int | float) else math.nan
