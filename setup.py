"""Build for colcon (ament_python) and for pip alike."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'depth_perception'
DATA_FOLDERS = ('launch', 'config', 'models', 'web')
NOT_DATA = {'__pycache__', '.pytest_cache'}


def data_files() -> list[tuple[str, list[str]]]:
    """Return (folder below the prefix, files) for all that is not a Python module."""
    files = [
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
    ]
    for top in DATA_FOLDERS:
        for folder in sorted(path for path in [Path(top), *Path(top).rglob('*')] if path.is_dir()):
            here = sorted(str(path) for path in folder.glob('*') if path.is_file())
            if here and not NOT_DATA & set(folder.parts):
                files.append((f'share/{PACKAGE}/{folder.as_posix()}', here))
    return files


# What pip may install without harm beside a ROS installation. OpenCV is not in install_requires:
# the one of apt (python3-opencv) is invisible to pip, and a second one from PyPI would shadow it.
INSTALL_REQUIRES = ['numpy>=1.21', 'PyYAML>=5.4']
FULL = [
    'opencv-python-headless>=4.5',
    'onnxruntime>=1.12',
    'rosbags>=0.9.15',
    'scipy>=1.8',
    'zstandard',
    'lz4',
]
# TensorRT itself, and what compiles the kernels for the CUDA of the driver: see docs/tensorrt.md.
GPU = ['onnx>=1.14', 'cuda-bindings>=12.6']
CLUSTER = ['distributed>=2023.12']

setup(
    name=PACKAGE,
    version='0.1.0',  # also in package.xml and depth_perception/__init__.py; a test compares them
    description='Metric depth with an honest error bar, from a mono camera or a stereo pair.',
    license='Apache-2.0',
    maintainer='depth_perception maintainers',
    maintainer_email='maintainers@depth-perception.example',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    data_files=data_files(),
    python_requires='>=3.10',
    install_requires=INSTALL_REQUIRES,
    extras_require={
        'full': FULL,
        'gpu': [*FULL, *GPU],
        'cluster': [*FULL, *CLUSTER],
        'test': ['pytest', 'hypothesis', 'mcap', *FULL],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'mono_depth_node = depth_perception.ros.mono_depth_node:main',
            'stereo_depth_node = depth_perception.ros.stereo_depth_node:main',
            'multi_depth_node = depth_perception.ros.multi_depth_node:main',
            'bag_player = depth_perception.ros.bag_player:main',
            'bag_recorder = depth_perception.ros.bag_recorder:main',
            'depth_perception = depth_perception.cli.main:main',
        ],
    },
)
