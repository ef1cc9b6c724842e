"""The picture and the tables of a calibration: a self-contained HTML page, and rows of text."""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
from pathlib import Path
from statistics import NormalDist
import tempfile

from depth_perception.core.calibration_choice import CalibrationFigures
from depth_perception.core.calibration_curve import PowerCurve, SigmaCurve
from depth_perception.core.calibration_fit import ONE_SIGMA, quotients, ScoredErrors
from depth_perception.errors import RecordingError
from depth_perception.evaluation import page
from depth_perception.evaluation.calibrate import Calibrated
from depth_perception.evaluation.report_charts import LEVELS, reliability
from depth_perception.evaluation.report_style import REPORT_STYLE
from depth_perception.evaluation.report_svg import chart, key, log_axis, Plot
import numpy as np
from numpy.typing import NDArray

UNITS = {
    'disparity_px': 'px of disparity',
    'inverse_depth_1_per_m': '1/m of inverse depth',
    'log_depth': 'of ln Z, about sigma / Z',
    'output': 'of the output',
}
_BINS = 24
_CURVE_POINTS = 80
_ROWS = (
    ('within 1 sigma', 'within_1_sigma', True, '68.3 %'),
    ('within 2 sigma', 'within_2_sigma', True, '95.4 %'),
    ('beyond 5 sigma', 'beyond_5_sigma', True, '0.0 %'),
    ('ENCE', 'ence', False, '0'),
    ('ENCE, robust', 'ence_robust', False, '0'),
    ('Spearman', 'spearman', False, '1'),
)


def formula(curve: SigmaCurve) -> str:
    """Return a curve in words."""
    if isinstance(curve, PowerCurve):
        return f'sigma = sqrt(({curve.a:.4g} u^{curve.gamma:.3g})^2 + {curve.b:.3g}^2)'
    return (
        f'table of {len(curve.score)} knots: sigma {curve.sigma[0]:.3g} to {curve.sigma[-1]:.3g} '
        f'at u {curve.score[0]:.3g} to {curve.score[-1]:.3g}'
    )


def comparison_rows(done: Calibrated) -> list[list[str]]:
    """Return header and rows of the figures before and after."""
    found = done.found
    rows = [['', 'wanted', 'before', 'after, held out', 'power law', 'table']]
    for title, name, share, wanted in _ROWS:
        values = [
            getattr(figures, name)
            for figures in (found.before, found.held_out, found.power, found.table)
        ]
        rows.append([title, wanted, *(_number(value, share=share) for value in values)])
    return rows


def group_rows(done: Calibrated) -> list[list[str]]:
    """Return header and rows of the held-out figures, one group each."""
    rows = [
        ['held out', 'frames', 'pixels', 'within 1', 'within 2', 'beyond 5', 'ENCE robust', 'rank']
    ]
    for group, figures in zip(done.groups, done.by_group, strict=True):
        rows.append([group.name, str(group.frames), str(figures.pixels), *_cells(figures)])
    return rows


def _cells(figures: CalibrationFigures) -> list[str]:
    return [
        _number(figures.within_1_sigma, share=True),
        _number(figures.within_2_sigma, share=True),
        _number(figures.beyond_5_sigma, share=True),
        _number(figures.ence_robust, share=False),
        _number(figures.spearman, share=False),
    ]


def _number(value: float, *, share: bool) -> str:
    if not math.isfinite(value):
        return '-'
    return f'{100.0 * value:.1f} %' if share else f'{value:.3g}'


def page_of(done: Calibrated, name: str) -> str:
    """Return the HTML page of a calibration; `name` is that of its file."""
    file = done.file
    rows, groups = comparison_rows(done), group_rows(done)
    pixels, sigma = done.held_out
    charts = ''.join((_reliability(pixels, sigma), _error_by_score(done, pixels)))
    parts = [
        *(page.note(text) for text in done.warnings),
        page.section(
            'How honest sigma is',
            page.paragraph(
                'Of errors against the truth in the recordings. After: each bag (or part of the '
                'only one) with a curve fitted on the others. Before: the raw score taken for '
                'sigma.'
            ),
            page.table(rows[0], rows[1:]),
            f'<div class="charts">{charts}</div>',
        ),
        page.section('By recording', page.table(groups[0], groups[1:])),
        page.section('What was done', page.facts(_facts(done))),
    ]
    if done.failed:
        parts.append(page.section('Not used', page.facts(list(done.failed.items()))))
    subtitle = f'{formula(done.found.curve)} [{UNITS[file.domain]}], u the score {file.score!r}'
    return page.document(f'Sigma of {file.model}: {name}', subtitle, parts, REPORT_STYLE)


def _facts(done: Calibrated) -> list[tuple[str, str]]:
    file, made = done.file, done.file.provenance
    facts = [
        ('model', f'{file.model} {file.model_sha256 or "(builtin)"}'),
        ('made', f'{made.created_utc} by version {made.package_version}'),
        ('command', ' '.join(made.command)),
        ('settings', ', '.join(f'{k}={v}' for k, v in file.settings.items()) or 'none'),
    ]
    facts += [
        (bag.name, f'{bag.frames} frames, {bag.pixels} pixels, sha256 {bag.sha256}')
        for bag in made.bags
    ]
    return facts


def _reliability(pixels: ScoredErrors, sigma: NDArray[np.float64]) -> str:
    series = []
    for name, claimed in (('raw score', pixels.score), ('sigma, held out', sigma)):
        quotient = quotients(pixels, claimed)
        limits = [NormalDist().inv_cdf(0.5 + 0.5 * level) for level in LEVELS]
        within = [float(np.count_nonzero(quotient <= limit)) for limit in limits]
        sums = {'reliability_pixels': [float(quotient.size)], 'reliability_within': within}
        series.append((name, sums))
    return reliability(series)


def _error_by_score(done: Calibrated, pixels: ScoredErrors) -> str:
    """Return the 68.3 % quantile of the error by score, with the curve that is to follow it."""
    order = np.argsort(pixels.score, kind='stable')
    parts = [part for part in np.array_split(order, _BINS) if part.size]
    error = np.abs(pixels.error)
    marks = [
        (
            float(np.median(pixels.score[part])),
            float(np.quantile(error[part], ONE_SIGMA)),
            float(np.quantile(error[part], 0.9545)) / 2.0,
        )
        for part in parts
    ]
    ends = np.quantile(pixels.score, (0.001, 0.999))
    score = np.geomspace(max(ends[0], 1e-12), max(ends[1], 1.001 * ends[0], 2e-12), _CURVE_POINTS)
    reference = float(np.sqrt(np.mean(np.square(pixels.reference_sigma))))
    curve = np.hypot(done.found.curve.exact(score), reference)
    line = list(zip(score.tolist(), curve.tolist(), strict=True))
    unit = UNITS[done.file.domain]
    x = log_axis(f'score {done.file.score!r}', [at for at, _ in line])
    y = log_axis(f'error [{unit}]', [v for _, *row in marks for v in row] + [v for _, v in line])
    remark = f'of {len(parts)} bins with equally many pixels; the line is the sigma of the file'
    plot = Plot(x, y, f'Error by score: {remark}')
    plot.line(line, 'm1')
    for at, one, two in marks:
        plot.mark(at, one, 0, f'68.3 % of the errors are below {one:.3g} at a score of {at:.3g}')
        plot.mark(at, two, 2, f'95.4 % of the errors are below twice {two:.3g}')
    keys = [
        key('none', '68.3 % quantile', 0),
        key('none', '95.4 % quantile / 2', 2),
        key('m1', 'sigma of the file'),
    ]
    return chart('Error by score', remark, plot, keys)


def write_page(path: Path, text: str) -> None:
    """Write a page; whoever reads `path` meanwhile sees the old one or the new one.

    Raises:
        RecordingError: If it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
        try:
            with os.fdopen(handle, 'w', encoding='utf-8') as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RecordingError(f'cannot write {path}: {error.strerror or error}') from error


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
