"""MNIST, shipped inside this package, as tensors that are ready to index."""

import gzip
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from course_utils.arguments import instance_of, positive_integer

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

FOLDER = Path(__file__).parent / "mnist"
SHA256 = {
    "train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "train-labels-idx1-ubyte.gz": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    "t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}


class Split(NamedTuple):
    """Images, float32 in [0, 1], shape (samples, 1, 28, 28), and their digits, int64, shape (samples,)."""

    images: Tensor
    labels: Tensor


def number_of_samples(split: Split, name: str = "split") -> int:
    """How many samples `split`, called `name` in errors, has.

    Raises ValueError if it is empty, has different numbers of images and labels, or has them on two devices, where
    indexing may give wrong samples without an error.
    """
    instance_of(Split, **{name: split})
    images, labels = split
    instance_of(Tensor, **{f"{name}.images": images, f"{name}.labels": labels})
    samples = positive_integer(f"len({name}.labels)", len(labels))
    if len(images) != samples or images.device != labels.device:
        sizes = f"{len(images)} images on {images.device} and {samples} labels on {labels.device}"
        raise ValueError(f"{name} has {sizes}: the numbers must be equal, and the device the same")
    return samples


def load_mnist(device: str | torch.device = "cpu") -> tuple[Split, Split]:
    """The 60,000 training and the 10,000 test samples, on `device` (220 MB of float32).

    Needs no network. The files are unpacked into a temporary folder (55 MB) that is gone when this returns,
    so processes that load at the same time share nothing.

    Raises ValueError if PyTorch cannot use `device` here, FileNotFoundError or ValueError if a file
    of the package is missing or damaged, and OSError if the temporary folder cannot be written.
    """
    device = _usable_device(device)
    train, test = read_datasets()
    return _as_split(train, device), _as_split(test, device)


def read_datasets(**options: object) -> tuple["MNIST", "MNIST"]:
    """Both splits as torchvision.datasets.MNIST with these `options`, in memory. Raises what `load_mnist` raises."""
    from torchvision.datasets import MNIST  # here, because it takes two seconds to import

    packed = {name: _read_checked(FOLDER / name, digest) for name, digest in SHA256.items()}
    with _temporary_folder() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        try:
            raw.mkdir(parents=True)
            for name, content in packed.items():
                (raw / name).with_suffix("").write_bytes(gzip.decompress(content))
        except OSError as error:
            raise _unwritable(folder) from error
        return tuple(MNIST(folder, train=train, **options) for train in (True, False))


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        probe = torch.zeros((), device=device)
        probe.item()  # the device "meta" has no values to give
        return probe.device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device={device!r} cannot be used here; 'cpu' always can: {error}") from error


def _read_checked(path: Path, digest: str) -> bytes:
    remedy = f"Restore it with 'git checkout -- {FOLDER.name}' in {FOLDER.parent}, or install the course again."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileNotFoundError(f"The data file {path} cannot be read. {remedy}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"The data file {path} is damaged: its SHA-256 is not {digest}. {remedy}")
    return content


def _temporary_folder() -> tempfile.TemporaryDirectory:
    try:
        return tempfile.TemporaryDirectory(prefix="mnist-")
    except OSError as error:
        raise _unwritable("any temporary folder") from error


def _unwritable(folder: str) -> OSError:
    return OSError(
        f"MNIST cannot be unpacked into {folder}: it needs 55 MB there for a moment. "
        "Free some space, or set the environment variable TMPDIR to a folder that can be written."
    )


def _as_split(dataset: "MNIST", device: torch.device) -> Split:
    images = dataset.data.to(device).unsqueeze(1).to(torch.float32).div_(255)
    return Split(images, dataset.targets.to(device))
