"""The parameters of TensorRT, a part of those of every estimator; see `parameters`."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.settings import Checked, setting


@dataclass(frozen=True, kw_only=True)
class TensorRTSettings(Checked):
    """How networks are compiled for an NVIDIA GPU."""

    tensorrt__while_building: str = setting(
        'onnxruntime',
        'Until the engine is built: serve with onnxruntime; wait, which holds start or the first '
        'image; or stay inactive and drop images.',
        choices=('onnxruntime', 'wait', 'inactive'),
    )
    tensorrt__precision: str = setting(
        'card',
        'Best precision to try: that of the card, fp16 or fp32. An engine that does not compute '
        'what ONNX Runtime does is refused and the next precision tried.',
        choices=('card', 'fp16', 'fp32'),
    )
    tensorrt__device: int = setting(0, 'Number of the CUDA device.', low=0, high=63)
    tensorrt__cuda: str = setting(
        'auto', 'Package that reaches the GPU.', choices=('auto', 'pycuda', 'cuda-python')
    )
    tensorrt__cuda_graph: bool = setting(
        True, 'Record the work of a frame once and replay it, where the package can.'
    )
    tensorrt__kernels: bool = setting(
        True,
        'Prepare images, judge depth and pack the cloud on the GPU. Kernels that do not compute '
        'what the CPU does are not used.',
    )
    tensorrt__overlap: bool = setting(
        True, 'Publish a frame while the network runs on the next one.'
    )
    tensorrt__dla_core: int = setting(
        -1, 'Core of the deep learning accelerator of a Jetson; -1: the GPU.', low=-1, high=7
    )
    tensorrt__workspace_mib: int = setting(
        0, 'Memory that kernels may take; 0: any.', unit='MiB', low=0, high=1 << 20
    )
    tensorrt__plugin_folder: str = setting(
        '',
        "Folder of the plugin libraries that a model card names; '': none. They are native code.",
    )
    tensorrt__cache_gib: float = setting(
        8.0, 'Size of the engine cache; the engines used longest ago go.', unit='GiB',
        low=0.0, high=10_000.0,
    )  # fmt: skip
