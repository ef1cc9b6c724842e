"""docs/doctor.md: it has every finding of the doctor, with its gravity, and no other."""

from pathlib import Path
import re

from depth_perception.doctor.findings import CATALOGUE

PAGE = (Path(__file__).resolve().parents[1] / 'docs' / 'doctor.md').read_text(encoding='utf-8')


def test_the_page_has_every_finding():
    told = re.findall(r'^\| `([a-z]+\.[a-z_]+)` \(([EWN])\) \| \S.*\S \| \S.*\S \|$', PAGE, re.M)
    assert dict(told) == {name: usual[0].upper() for name, (usual, _) in CATALOGUE.items()}
    assert len(told) == len(CATALOGUE)
