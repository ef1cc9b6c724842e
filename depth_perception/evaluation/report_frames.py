"""The best, the median and the worst frame in pictures, every model in the same colours."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from depth_perception.evaluation import page
from depth_perception.evaluation.report_pictures import scale_from
from depth_perception.evaluation.report_values import mapping, mappings, metric_named, text_of

_RANKS = {'best': 'Best frame', 'median': 'Median frame', 'worst': 'Worst frame'}
_SHARED = (  # name in 'files', title, name in 'scales', remark
    ('image', 'Image', '', ''),
    ('truth', 'Ground truth', 'depth', 'dark: unknown'),
    ('truth_cloud', 'Ground truth as a cloud', '', 'from beside the camera'),
)
_OF_MODEL = (
    ('depth', 'depth', 'depth', 'dark: unknown, pale: beyond the range'),
    ('error', 'error', 'error', '|Z - Z*| / Z*; dark: nothing to compare'),
    ('sigma', 'sigma', 'sigma', 'sigma / Z, as published'),
    ('cloud', 'cloud', '', 'from beside the camera'),
)
TEXT = (
    'Ranked by the mean of the models. All models of a frame share the colours of depth. Error '
    'and sigma share one scale: where sigma is honest, the two look alike.'
)


def frames_to_look_at(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the frames; '' if there is none.

    Args:
        report: As report.json has it.
        pictures: Name of a file to JPEG.
    """
    shown: dict[tuple[str, str, str, Any], list[tuple[str, Mapping[str, Any]]]] = {}
    for run in mappings(report, 'runs'):
        for entry in mappings(run, 'pictures'):
            place = (
                str(run.get('bag')),
                str(run.get('camera')),
                str(entry.get('rank')),
                entry.get('stamp_ns'),
            )
            shown.setdefault(place, []).append((str(run.get('model')), entry))
    parts = [_frame(place, entries, pictures) for place, entries in shown.items()]
    return page.paragraph(TEXT) + ''.join(parts) if any(parts) else ''


def _frame(
    place: tuple[str, str, str, Any],
    entries: Sequence[tuple[str, Mapping[str, Any]]],
    pictures: Mapping[str, bytes],
) -> str:
    bag, camera, rank, stamp_ns = place
    first = entries[0][1]
    key = str(first.get('metric', 'online/abs_rel'))
    metric = metric_named(key.partition('/')[2])
    stamp = text_of(stamp_ns * 1e-9 if isinstance(stamp_ns, int) else None, 's')
    if isinstance(stamp_ns, int):
        stamp = f'{stamp_ns / 1e9:.3f} s'
    title = f'{_RANKS.get(rank, rank)}: {bag} {camera}, frame {first.get("frame")} at {stamp}'
    about = f'{key} {text_of(first.get("value"), metric.unit)}'
    rows = [_row(first, _SHARED, '', title, pictures)]
    rows += [_row(entry, _OF_MODEL, model, title, pictures) for model, entry in entries]
    if not any(rows):
        return ''
    return f'<h3>{escape(title)}</h3><p>{escape(about)}</p>{"".join(rows)}'


def _row(
    entry: Mapping[str, Any],
    wanted: Sequence[tuple[str, str, str, str]],
    model: str,
    frame: str,
    pictures: Mapping[str, bytes],
) -> str:
    files, scales = mapping(entry, 'files'), mapping(entry, 'scales')
    figures = []
    for name, title, scale_name, remark in wanted:
        data = pictures.get(str(files.get(name)))
        if data is not None:
            shown = f'{model}: {title}' if model else title
            scale = scale_from(scales.get(scale_name))
            bar = page.colour_bar(scale) if scale is not None else ''
            figures.append(
                f'<figure><img alt="{escape(f"{shown}; {frame}")}" loading="lazy" '
                f'src="data:image/jpeg;base64,{base64.b64encode(data).decode("ascii")}">{bar}'
                f'<figcaption><b>{escape(shown)}</b> <span>{escape(remark)}</span></figcaption>'
                '</figure>'
            )
    return f'<div class="frame">{"".join(figures)}</div>' if figures else ''
