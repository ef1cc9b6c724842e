"""Collect photographic textures with free licences from Debian packages and scikit-image.

    python -m training.renderer.fetch_textures FOLDER

writes FOLDER/pool.npy (about 1.6 GB) and FOLDER/manifest.json, which names the packages, their
versions and licences. Nothing of it is committed, and no picture of a stereo or depth benchmark
is among it. Needs apt-get and dpkg-deb; what cannot be had is left out, and said.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any
import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from training.renderer.procedural import make
from training.renderer.textures import pyramid

Image = NDArray[np.uint8]
SIZE = 512
PHOTOS = {  # package -> how many textures at most
    'mate-backgrounds': 110, 'gnome-backgrounds': 40, 'plasma-workspace-wallpapers': 60,
    'ukui-wallpapers': 30, 'lomiri-wallpapers-16.04': 75, 'tuxpaint-stamps-default': 170,
}  # fmt: skip
SURFACES = {
    'supertuxkart-data': 260, 'ufoai-textures': 190, 'nexuiz-textures': 190,
    'colobot-common-textures': 40,
}  # fmt: skip
_SCIKIT_FILES = (
    'astronaut.png',
    'coffee.png',
    'chelsea.png',
    'rocket.jpg',
    'brick.png',
    'grass.png',
    'gravel.png',
)
_NO_COLOURS = re.compile(
    r'normal|_nm\b|_n\.|_nor|spec|gloss|mask|height|bump|icon|gui|font|particle|alpha|screenshot|karts|light',
    re.I,
)
_ENDINGS = {'.jpg', '.jpeg', '.png', '.webp'}
_MADE = {'plain': 25, 'natural': 130, 'pattern': 120, 'print': 90}


def unpack(package: str, folder: Path) -> dict[str, str] | None:
    """Fetch and unpack a Debian package; return its name, version and licences, or None."""
    target = folder / 'unpacked' / package
    try:
        if not target.exists():
            for old in folder.glob(f'{package}_*.deb'):
                old.unlink()
            subprocess.run(
                ['apt-get', 'download', package], cwd=folder, check=True, capture_output=True
            )
            deb = next(folder.glob(f'{package}_*.deb'))
            subprocess.run(['dpkg-deb', '-x', deb, target], check=True)
            fields = subprocess.run(
                ['dpkg-deb', '-f', deb, 'Version'], check=True, capture_output=True, text=True
            )
            (target / 'version').write_text(fields.stdout.strip())
            deb.unlink()
            _unzip(target)
    except (OSError, subprocess.CalledProcessError, StopIteration):
        return None
    notice = target / 'usr/share/doc' / package / 'copyright'
    text = notice.read_text(errors='replace') if notice.exists() else ''
    licences = sorted(
        {
            line.split(':', 1)[1].strip()
            for line in text.splitlines()
            if line.startswith('License:')
        }
    )
    return {
        'package': package,
        'version': (target / 'version').read_text().strip(),
        'licences': ', '.join(licences) or 'see its copyright file',
    }


def _unzip(folder: Path, most: int = 600) -> None:
    """Take an even choice of pictures out of the archives in which games keep them."""
    for archive in sorted(folder.rglob('*.pk3')):
        with zipfile.ZipFile(archive) as opened:
            names = [n for n in sorted(opened.namelist()) if Path(n).suffix.lower() in _ENDINGS]
            names = [n for n in names if not _NO_COLOURS.search(n)]
            for name in names[:: max(1, len(names) // most)]:
                opened.extract(name, folder / 'archive')
        archive.unlink()


def pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder that may be colours of a surface, in a fixed order."""
    found = sorted(
        p
        for p in folder.rglob('*')
        if p.suffix.lower() in _ENDINGS and p.is_file() and not p.is_symlink()
    )
    return [p for p in found if not _NO_COLOURS.search(str(p.relative_to(folder)))]


def read(path: Path, least: int, ground: NDArray[np.int64] | None = None) -> Image | None:
    """Read a picture as RGB, or None: too small, transparent, flat, or a normal map.

    With a colour (3,) as ground, what is transparent is laid upon it.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < least:
        return None
    if image.shape[2] == 4 and (image[..., 3] < 200).mean() > 0.02:
        if ground is None:
            return None
        share = image[..., 3:] / 255
        image = (image[..., :3] * share + ground * (1 - share)).astype(np.uint8)
    image = np.ascontiguousarray(image[..., 2::-1])
    mean = image.reshape(-1, 3).mean(axis=0)
    if image.std() < 6 or (mean[2] > 190 and abs(mean[0] - 128) < 25 and abs(mean[1] - 128) < 25):
        return None
    return image


def crops(image: Image, count: int, rng: np.random.Generator) -> Iterator[Image]:
    """Cut squares out of a photograph, of half its height to all of it, some mirrored."""
    height, width = image.shape[:2]
    for _ in range(count):
        side = int(min(height, width) * rng.uniform(0.35, 1.0))
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        cut = image[y : y + side, x : x + side]
        yield cut[:, ::-1] if rng.random() < 0.5 else cut


def _fit(image: Image) -> Image:
    shrink = min(image.shape[:2]) > SIZE
    way = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(image, (SIZE, SIZE), interpolation=way))


def _photos(folder: Path, share: int, rng: np.random.Generator) -> Iterator[Image]:
    many = {}
    for path in pictures(folder):  # one size of each picture only
        many[path.parent.parent if re.search(r'\d+x\d+', path.name) else path] = path
    each = min(max(1, share // max(len(many), 1)), 6)
    left = share
    for k in rng.permutation(len(many)):
        image = read(list(many.values())[int(k)], 200, ground=rng.integers(0, 256, 3))
        for part in crops(image, each, rng) if image is not None and left > 0 else ():
            left -= 1
            yield part


def _surfaces(folder: Path, share: int, rng: np.random.Generator) -> Iterator[Image]:
    paths = pictures(folder)
    left = share
    for k in rng.permutation(len(paths)):
        image = read(paths[int(k)], 128)
        if image is not None and 0.4 < image.shape[0] / image.shape[1] < 2.5 and left:
            left -= 1
            yield image


def _scikit(rng: np.random.Generator) -> tuple[dict[str, str] | None, list[Image]]:
    try:
        import skimage
    except ModuleNotFoundError:
        return None, []
    folder = Path(skimage.__file__).parent / 'data'
    images = [read(folder / name, 128) for name in _SCIKIT_FILES if (folder / name).exists()]
    cut = [part for image in images if image is not None for part in crops(image, 4, rng)]
    return {
        'package': 'scikit-image',
        'version': skimage.__version__,
        'licences': 'see data/README.txt: CC0, public domain',
    }, cut


def collect(folder: Path) -> dict[str, Any]:
    """Fill folder with the pool; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    rows, tags, sources = [], [], []
    wanted = [('photo', *item) for item in PHOTOS.items()]
    wanted += [('surface', *item) for item in SURFACES.items()]
    for tag, package, most in wanted:
        source = unpack(package, folder)
        if source is None:
            sys.stderr.write(f'{package}: cannot be had here\n')
            continue
        few = _photos if tag == 'photo' else _surfaces
        got = [pyramid(_fit(image)) for image in few(folder / 'unpacked' / package, most, rng)]
        rows += got
        tags += [tag] * len(got)
        sources.append({**source, 'textures': len(got)})
    source, images = _scikit(rng)
    rows += [pyramid(_fit(image)) for image in images]
    tags += ['photo'] * len(images)
    sources += [{**source, 'textures': len(images)}] if source else []
    for tag, count in _MADE.items():
        rows += [pyramid(make(rng, tag, SIZE)) for _ in range(count)]
        tags += [tag] * count
    shape = (len(rows), len(rows[0]))
    pool = np.lib.format.open_memmap(folder / 'pool.npy', 'w+', np.uint8, shape)
    for k, row in enumerate(rows):
        pool[k] = row
    pool.flush()
    manifest = {
        'name': f'{len(rows)} of {len(sources)} packages',
        'size': SIZE,
        'sources': sources,
        'tags': tags,
    }
    (folder / 'manifest.json').write_text(json.dumps(manifest, indent=1))
    return manifest


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    for source in collect(parser.parse_args().folder)['sources']:
        sys.stdout.write('{textures:5d} {package} {version}: {licences}\n'.format(**source))


if __name__ == '__main__':
    main()
