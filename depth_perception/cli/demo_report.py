"""What the demo found, as a page for people and as a summary for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
from typing import Any

from depth_perception.evaluation import page
from depth_perception.evaluation.page import MISSING, picture, Tile
from depth_perception.evaluation.pictures import (
    colourise,
    ColourScale,
    depth_scale,
    render_cloud,
    sigma_scale,
)
from depth_perception.evaluation.playback import Given, Published
from depth_perception.inference.estimator import AUTO_STEREO, MATCHER
import numpy as np


@dataclass(frozen=True)
class Findings:
    """All that the report is made of.

    Attributes:
        scene: Title of what was played.
        origin: Where it comes from.
        given: What the nodes were given.
        published: 'stereo' and 'mono' -> what that node published; None if nothing.
        diagnostics: 'stereo' and 'mono' -> last diagnostics of that node.
        remarks: What the reader must know, e.g. why something is missing.
        ground: Pose of the camera that the mono node was told, in words; '' if none.
        facts: Name -> value of the circumstances.
    """

    scene: str
    origin: str
    given: Given
    published: dict[str, Published | None]
    diagnostics: dict[str, dict[str, str]]
    remarks: list[str] = field(default_factory=list)
    ground: str = ''
    facts: dict[str, str] = field(default_factory=dict)


def summary_of(found: Findings) -> dict[str, Any]:
    """Return the figures of the page for summary.json; a figure that is not known is null."""
    nodes: dict[str, Any] = {}
    for name, published in found.published.items():
        if published is None:
            nodes[name] = None
            continue
        nodes[name] = {
            'frames': published.frames,
            'rate_hz': published.rate_hz,
            'latency_ms': published.latency_percentiles_ms(),
            **published.figures,
            'diagnostics': found.diagnostics.get(name, {}),
        }
    summary: dict[str, Any] = _plain(
        {
            'scene': found.scene,
            'origin': found.origin,
            'frames_played': found.given.frames,
            'rate_played_hz': found.given.rate_hz,
            'ground_truth': found.given.truth is not None,
            'nodes': nodes,
            'remarks': found.remarks,
            'facts': found.facts,
        }
    )
    return summary


def _plain(value: Any) -> Any:
    """Return JSON values: NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def html_of(found: Findings) -> str:
    """Return the page."""
    stereo, mono = found.published.get('stereo'), found.published.get('mono')
    shown = found.given.truth
    if shown is None:
        shown = next((p.depth for p in (stereo, mono) if p is not None), None)
    scale = depth_scale([shown] if shown is not None else [])
    parts = [page.note(remark) for remark in found.remarks]
    headline = stereo or mono
    if headline is not None:
        parts.append(page.tiles(_headline_title(stereo), _headline(headline, found.given)))
    parts.append(_seen(found, scale))
    if stereo is not None:
        model = found.diagnostics.get('stereo', {}).get('model', AUTO_STEREO)
        text = STEREO_TEXTS.get(model, NETWORK_TEXT.format(model=model))
        parts.append(_node_section(STEREO_TITLE, text, stereo, found, scale))
    if mono is not None:
        text = f'{MONO_TEXT} {found.ground} {_verdict(mono)}'.strip()
        parts.append(_node_section(MONO_TITLE, text, mono, found, scale))
    parts += [_accuracy(found), _timing(found), _circumstances(found)]
    return page.document(f'Depth of {found.scene}', SUBTITLE, parts)


SUBTITLE = (
    'Metric depth with an error bar for every pixel, as the ROS 2 nodes of depth_perception '
    'published it while this recording was played to them.'
)
STEREO_TITLE = 'Stereo: depth from the pair'
MATCHER_TEXT = (
    'Semi-global matching with a left-right check; depth is focal length times baseline over '
    'disparity. Dark pixels are unknown: hidden from one camera, without texture, or too '
    'uncertain to publish.'
)
NETWORK_TEXT = (
    'Depth by the model {model}, in place of the default. Dark pixels are unknown: too '
    'uncertain to publish.'
)
FUSED_TEXT = (
    'Semi-global matching and our small network together: their mean where they are near to each '
    'other, mostly the match, and the network elsewhere. Dark pixels are unknown: too uncertain '
    'to publish.'
)
STEREO_TEXTS = {MATCHER: MATCHER_TEXT, AUTO_STEREO: FUSED_TEXT}
MONO_TITLE = 'Mono: depth from the left image alone'
MONO_TEXT = (
    'The default model has no learnt weights: it tells floor from obstacles '
    'by their looks, and stands each obstacle on the floor where it touches it. It is a '
    'baseline that needs no download, good for the floor and for upright things that stand on '
    'it. Where measured points or a pair give the metres, a learnt network, such as our own '
    'room-depth, answers nearly every pixel.'
)


def _headline_title(stereo: Published | None) -> str:
    node = 'stereo' if stereo is not None else 'mono'
    return f'The {node} node, as published'


def _headline(published: Published, given: Given) -> list[Tile]:
    latency = published.latency_percentiles_ms()
    figures = published.figures
    items = []
    if 'depth' in figures:
        depth, sigma = figures['depth'], figures['sigma']
        items.append(
            Tile(
                f'{100 * depth["abs_rel"]:.2f} %',
                'mean relative error',
                f'median {100 * depth["median_rel"]:.2f} %',
            )
        )
        if 'disparity' in figures:
            bad = 100 * figures['disparity']['bad_2']
            items.append(Tile(f'{bad:.1f} %', 'of pixels off by over 2 px', 'bad-2.0, published'))
        items.append(
            Tile(
                f'{100 * depth["coverage"]:.0f} %',
                'of the true pixels covered',
                'the rest is left unknown',
            )
        )
        items.append(
            Tile(f'{100 * sigma["within_1"]:.0f} %', 'lie within 1 sigma', 'a Gaussian: 68 %')
        )
    else:
        items.append(Tile(f'{100 * figures["valid"]:.0f} %', 'of the pixels have a depth', ''))
    items.append(
        Tile(f'{latency["p50"]:.0f} ms', 'from image to depth', f'95 %: {latency["p95"]:.0f} ms')
    )
    items.append(
        Tile(
            f'{published.rate_hz:.1f} Hz',
            'published',
            f'{published.frames} of {given.frames} frames',
        )
    )
    return items


def _verdict(published: Published) -> str:
    """Return a sentence on how far depth and error bar can be trusted; '' without truth."""
    if 'depth' not in published.figures:
        return ''
    abs_rel = published.figures['depth']['abs_rel']
    coverage = published.figures['depth']['coverage']
    within_2 = published.figures['sigma']['within_2']
    text = (
        f'On this scene it gives {100 * coverage:.0f} % of the pixels a depth, which is off by '
        f'{100 * abs_rel:.0f} % on average; {100 * within_2:.0f} % of the truth lies within two '
        'standard deviations (a Gaussian would have 95 %): '
    )
    if within_2 < 0.9:
        return text + (
            'the error bar is too short where the background shows above or through an '
            'obstacle, because such pixels get the depth of the obstacle.'
        )
    return text + 'the error bar can be relied on here.'


def _seen(found: Findings, scale: ColourScale) -> str:
    given = found.given
    figures = [picture(given.picture, 'Left image', 'first frame of the recording')]
    if given.truth is not None:
        figures.append(
            picture(colourise(given.truth, scale), 'Ground truth', 'dark: not measured', scale)
        )
        figures.append(
            picture(
                render_cloud(given.truth, given.picture, given.camera),
                'Ground truth as a cloud',
                'from a viewpoint beside the camera',
            )
        )
    return page.section('What the camera saw', page.paragraph(found.origin), page.grid(figures))


def _node_section(
    title: str, text: str, published: Published, found: Findings, scale: ColourScale
) -> str:
    given = found.given
    depth, sigma = published.depth, published.sigma
    unsure = sigma_scale(sigma)
    figures = [
        picture(colourise(depth, scale), 'Depth', 'pale: beyond the range', scale),
        picture(colourise(sigma, unsure), 'Standard deviation', 'as published', unsure),
    ]
    if given.truth is not None and given.truth.shape == depth.shape:
        with np.errstate(invalid='ignore'):
            error = np.where(np.isfinite(depth), np.abs(depth - given.truth), np.nan)
        figures.append(
            picture(
                colourise(error, unsure),
                'Actual error',
                'in the colours of the standard deviation',
                unsure,
            )
        )
    figures.append(
        picture(
            render_cloud(depth, given.picture, given.camera),
            'The cloud',
            'from a viewpoint beside the camera',
        )
    )
    return page.section(title, page.paragraph(text), page.grid(figures))


def _accuracy(found: Findings) -> str:
    judged = {n: p for n, p in found.published.items() if p is not None and 'depth' in p.figures}
    if not judged:
        text = 'There is no ground truth for this recording, so nothing is said about accuracy.'
        return page.section('Accuracy', page.paragraph(text))
    rows = [
        ('AbsRel: mean |Z - Z*| / Z*', 'depth', 'abs_rel', 100.0, '%'),
        ('median relative error', 'depth', 'median_rel', 100.0, '%'),
        ('RMSE', 'depth', 'rmse_m', 1.0, 'm'),
        ('within 25 % (delta 1)', 'depth', 'delta1', 100.0, '%'),
        ('coverage of the pixels with truth', 'depth', 'coverage', 100.0, '%'),
        ('EPE: mean disparity error', 'disparity', 'epe_px', 1.0, 'px'),
        ('bad-1.0', 'disparity', 'bad_1', 100.0, '%'),
        ('bad-2.0', 'disparity', 'bad_2', 100.0, '%'),
        ('bad-4.0', 'disparity', 'bad_4', 100.0, '%'),
        ('within 1 sigma (Gaussian: 68.3 %)', 'sigma', 'within_1', 100.0, '%'),
        ('within 2 sigma (Gaussian: 95.4 %)', 'sigma', 'within_2', 100.0, '%'),
        ('spread of error / sigma (ideal: 1)', 'sigma', 'spread', 1.0, ''),
        ('median sigma / depth', 'sigma', 'median_relative_sigma', 100.0, '%'),
    ]
    cells = [
        [label, *(_value(p.figures.get(group, {}).get(key), k, unit) for p in judged.values())]
        for label, group, key, k, unit in rows
    ]
    text = (
        'Each published frame against the ground truth, without any alignment to it; means over '
        'the frames. Error figures are over published pixels, so read them beside the coverage. '
        'The disparity of the mono node is what its depth would have in this rig.'
    )
    return page.section('Accuracy', page.paragraph(text), page.table(['', *judged], cells))


def _value(value: float | None, factor: float, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    return f'{value * factor:.3g} {unit}'.strip()


def _timing(found: Findings) -> str:
    there = {name: p for name, p in found.published.items() if p is not None}
    if not there:
        return page.section('Time', page.paragraph('No depth was published.'))
    rows = [
        ['frames published', *(f'{p.frames} of {found.given.frames}' for p in there.values())],
        ['rate', *(f'{p.rate_hz:.2f} Hz' for p in there.values())],
    ]
    rows += [
        [
            f'image to depth, {key}',
            *(f'{p.latency_percentiles_ms()[key]:.1f} ms' for p in there.values()),
        ]
        for key in ('p50', 'p95', 'p99', 'max')
    ]
    prefix, suffix = 'stage ', ' p50/p95/p99 [ms]'
    stages = dict.fromkeys(
        key for name in there for key in found.diagnostics.get(name, {}) if key.startswith(prefix)
    )
    rows += [
        [
            f'inside the node: {key[len(prefix) : -len(suffix)]}, p50 / p95 / p99',
            *(_stage(found.diagnostics.get(name, {}).get(key)) for name in there),
        ]
        for key in stages
    ]
    text = (
        'From the stamp of the image, when the player sent it, to the arrival of its depth in the '
        'recorder: node, player and recorder are processes of their own on real middleware.'
    )
    chart = page.latency_chart([(name, p.latency_ms) for name, p in there.items()])
    return page.section('Time', page.paragraph(text), chart, page.table(['', *there], rows))


def _stage(text: str | None) -> str:
    return f'{text} ms' if text else MISSING


def _circumstances(found: Findings) -> str:
    return page.section('How this was made', page.facts(list(found.facts.items())))
