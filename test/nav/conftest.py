"""Tests of the clouds for navigation: rendered rooms, and consumers that read them."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))
