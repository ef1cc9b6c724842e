"""compressedDepth of a 640x480 frame, apart from the raw outputs: PNG is its cost."""

from __future__ import annotations

from bench_cloud import median_ms
import cv2
from depth_perception.parameters import StereoSettings
from depth_perception.ros.compressed_codec import compressed_depth_from_depth
import numpy as np
from std_msgs.msg import Header


def measure() -> dict[str, float]:
    """Return the duration [ms] and the share of the raw bytes for two scenes, one thread."""
    cv2.setNumThreads(1)
    settings = StereoSettings()
    rng = np.random.default_rng(0)
    smooth = np.linspace(1.0, 8.0, 640 * 480, dtype=np.float32).reshape(480, 640)
    noisy = smooth * rng.normal(1.0, 0.01, smooth.shape).astype(np.float32)
    noisy[rng.random(noisy.shape) < 0.2] = np.nan
    result = {}
    for name, depth in (('smooth', smooth), ('noisy, 20 % unknown', noisy)):

        def encode(depth: np.ndarray = depth) -> int:  # type: ignore[type-arg]
            message = compressed_depth_from_depth(
                depth,
                Header(),
                settings.compressed_depth__depth_max_m,
                settings.compressed_depth__depth_quantization,
                settings.compressed_depth__png_level,
            )
            return len(message.data)

        result[f'{name} [ms]'] = median_ms(encode, None)
        result[f'{name}, share of raw'] = encode() / depth.nbytes
    return result
