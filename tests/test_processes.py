"""course_utils.processes: real processes under torchrun, and that none of them is left, whatever happens."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from course_utils import processes
from course_utils.processes import run_ranks, torchrun_command

NOTE_PIDS = """
import os, pathlib, sys, time
note = pathlib.Path({folder!r}, os.environ["RANK"])
note.with_suffix(".new").write_text(f"{{os.getpid()}} {{os.getppid()}}")
note.with_suffix(".new").rename(note)
"""
HANG = NOTE_PIDS + "time.sleep(600)\n"
DIE = NOTE_PIDS + "if note.name == '1':\n    {how}\ntime.sleep(600)\n"


def pids(folder):
    """Those of the ranks and of torchrun."""
    return {int(pid) for note in Path(folder).iterdir() if not note.suffix for pid in note.read_text().split()}


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")  # ended, not yet collected


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where all temporary files go, to see that none stays."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def test_each_rank_prints_and_nothing_is_left(temporary, notes):
    script = NOTE_PIDS + "open('here', 'w').close(); print(os.environ['RANK'], 'of', os.environ['WORLD_SIZE'], '¶')"
    printed = run_ranks(script.format(folder=str(notes)), 3)
    assert printed == ["0 of 3 ¶\n", "1 of 3 ¶\n", "2 of 3 ¶\n"]
    assert list(temporary.iterdir()) == [] and len(pids(notes)) == 4
    assert not any(map(is_alive, pids(notes)))


def test_ranks_talk_over_gloo_and_run_as_main():
    script = """
import torch, torch.distributed as dist
if __name__ == "__main__":
    dist.init_process_group("gloo")
    number = torch.tensor(dist.get_rank() + 1)
    dist.all_reduce(number)
    print(number.item())
    dist.destroy_process_group()
"""
    assert run_ranks(script) == ["3\n", "3\n"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise LookupError('no data left')", "rank 1 ended with exit code 1: LookupError: no data left"),
        ("sys.exit(7)", "rank 1 ended with exit code 7: no message"),
        ("os.kill(os.getpid(), 9)", "rank 1 ended with exit code -9: no message"),
    ],
)
def test_a_rank_that_dies_ends_all_and_is_named(temporary, notes, how, message):
    with pytest.raises(RuntimeError) as caught:
        run_ranks(DIE.format(folder=str(notes), how=how), timeout=100)
    assert str(caught.value).splitlines()[0] == message
    assert list(temporary.iterdir()) == [] and len(pids(notes)) == 3
    assert not any(map(is_alive, pids(notes)))


def test_a_rank_that_lost_its_partner_is_not_blamed(tmp_path):
    for rank, last in enumerate(["[rank0]: RuntimeError: Connection closed by peer", "[rank1]: ValueError: no"]):
        folder = tmp_path / "logs" / "run" / "attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stderr.log").write_text(f"[rank{rank}]: Traceback\n{last}\n")
    summary = "  rank      : {} (local_rank: {})\n  exitcode  : 1 (pid: 12{})\n  error_file: <N/A>\n"
    (tmp_path / "torchrun.log").write_text(summary.format(0, 0, 0) + summary.format(1, 1, 1))
    assert processes._failure(tmp_path, 1).splitlines()[0] == "rank 1 ended with exit code 1: ValueError: no"


def test_a_hang_is_cut_off_also_if_the_ranks_do_not_listen_to_signals(temporary, notes):
    script = (
        NOTE_PIDS + "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('waiting', file=sys.stderr)\ntime.sleep(600)"
    )
    with pytest.raises(TimeoutError, match=r"the 2 ranks had not ended after 20 seconds\n(.|\n)*rank 1:\n  waiting"):
        run_ranks(script.format(folder=str(notes)), timeout=20)
    assert list(temporary.iterdir()) == [] and len(pids(notes)) == 3
    assert not any(map(is_alive, pids(notes)))


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_an_interrupted_or_killed_caller_leaves_no_process(temporary, notes, how):
    # as a kernel does, which hears of interrupts also where what started it ignores them, such as a shell's `command &`
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    call = f"from course_utils.processes import run_ranks; run_ranks({HANG.format(folder=str(notes))!r})"
    caller = subprocess.Popen([sys.executable, "-c", f"{listen}\n{call}"], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(pids(notes)) == 3)
        assert all(map(is_alive, pids(notes)))
        caller.send_signal(getattr(signal, how))
        _, errors = caller.communicate(timeout=30)
        wait_until(lambda: not any(map(is_alive, pids(notes))))
    finally:
        caller.kill()
        caller.communicate()
    if how == "SIGINT":
        assert errors.strip().endswith("KeyboardInterrupt") and list(temporary.iterdir()) == []


def test_ranks_end_when_torchrun_is_killed(notes):
    script = NOTE_PIDS + "time.sleep(1)\nif note.name == '0':\n    os.kill(os.getppid(), 9)\ntime.sleep(600)\n"
    with pytest.raises(RuntimeError, match="torchrun ended with exit code -9"):
        run_ranks(script.format(folder=str(notes)))
    wait_until(lambda: not any(map(is_alive, pids(notes))))


@pytest.mark.parametrize("lo", ["up", "down"])
def test_where_names_have_no_address(lo):
    """No network but 127.0.0.1, and a name of the machine that nobody knows."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rnu", "true"], capture_output=True).returncode:
        pytest.skip("needs Linux, and 'unshare -rnu true' to be allowed")
    if lo == "up" and not shutil.which("ip"):
        pytest.skip("install iproute2 (the command 'ip') to run this test")
    call = "import torch, torch.distributed as d; d.init_process_group('gloo'); d.barrier(); print(d.get_rank())"
    python = f'from course_utils.processes import run_ranks; print(run_ranks("{call}", timeout=60))'
    setup = "hostname nobody-knows-me; " + ("ip link set lo up; " if lo == "up" else "")
    shell = ["unshare", "-rnu", "sh", "-c", f'{setup} exec "$0" -c "$1"', sys.executable, python]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=100)
    if lo == "up":
        assert done.stdout == "['0\\n', '1\\n']\n", done.stderr
    else:
        assert "OSError: processes cannot talk to each other here: 127.0.0.1 does not answer" in done.stderr


def test_what_is_shown_is_what_runs(monkeypatch):
    assert torchrun_command("train.py", 4) == [
        "torchrun",
        "--standalone",
        "--local-addr=127.0.0.1",
        "--nproc-per-node=4",
        "train.py",
    ]
    started = []

    def popen(command, **_):
        started.extend(command)
        raise OSError("that will do")

    monkeypatch.setattr(processes.subprocess, "Popen", popen)
    with pytest.raises(OSError, match="that will do"):
        run_ranks("", 4)
    assert [word for word in torchrun_command("train.py", 4)[1:-1] if word not in started] == []


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two", True])
def test_what_cannot_be_a_number_of_ranks(wrong):
    with pytest.raises(ValueError, match="ranks="):
        run_ranks("", wrong)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "long", None])
def test_what_cannot_be_a_timeout(wrong):
    with pytest.raises(ValueError, match="timeout="):
        run_ranks("", timeout=wrong)
