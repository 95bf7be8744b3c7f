"""course_utils.data: the right numbers, and clear errors for bad files and temporary folders."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from course_utils import data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the data files that a test may damage."""
    copy = tmp_path / "mnist"
    shutil.copytree(data.FOLDER, copy)
    monkeypatch.setattr(data, "FOLDER", copy)
    return copy


def test_mnist_is_whole_and_ready_to_index():
    training, test = data.load_mnist()
    assert training.images.shape == (60_000, 1, 28, 28) and test.images.shape == (10_000, 1, 28, 28)
    assert training.images.dtype == torch.float32 and training.labels.dtype == torch.int64
    assert training.images.min() == 0 and training.images.max() == 1
    assert training.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert training.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_pixels_are_those_of_the_files():
    training, _ = data.load_mnist()
    assert round(training.images[0].sum().item() * 255) == 27_525  # the first image, a 5


@pytest.mark.parametrize("device", ["gpu", "cuda:99", 3.5, None])
def test_unusable_device_is_named(device):
    if device is None:
        assert data.load_mnist(None)[0].images.device.type == "cpu"  # PyTorch's own default
        return
    with pytest.raises(ValueError, match="device="):
        data.load_mnist(device)


def test_missing_file(folder):
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels-idx1-ubyte.gz cannot be read\. Restore it"):
        data.load_mnist()


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-100], lambda content: b"", lambda content: b"x" + content[1:]]
)
def test_truncated_or_damaged_file(folder, damage):
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz is damaged.*Restore it"):
        data.load_mnist()


def test_no_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(OSError, match="set the environment variable TMPDIR"):
        data.load_mnist()


def test_full_disk(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"needs 55 MB there for a moment\. Free some space"):
        data.load_mnist()


def test_processes_at_once_do_not_disturb_each_other_and_leave_nothing(tmp_path):
    code = "from course_utils.data import load_mnist; print(load_mnist()[0].images.sum().item())"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert first == second and float(first) > 0
    assert not list(tmp_path.iterdir())
