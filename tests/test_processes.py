"""course_utils.processes: real processes under torchrun, and that none of them is left, whatever happens."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from course_utils import processes
from course_utils.processes import Ranks, run_ranks, torchrun_command

NOTE_PIDS = """
import os, pathlib, sys, time
note = pathlib.Path({folder!r}, os.environ["RANK"])
note.with_suffix(".new").write_text(f"{{os.getpid()}} {{os.getppid()}}")
note.with_suffix(".new").rename(note)
"""
HANG = NOTE_PIDS + "time.sleep(600)\n"
DIE = NOTE_PIDS + """
if note.name == '1':
    while not note.with_name('0').exists():  # a rank that is slow to start is ended before it has left a note
        time.sleep(0.01)
    {how}
time.sleep(600)
"""


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
    assert list(temporary.iterdir()) == []
    assert errors.strip().endswith("KeyboardInterrupt") or how == "SIGKILL"


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
    for start in (run_ranks, lambda script, wrong: Ranks(wrong, script)):
        with pytest.raises(ValueError, match="world_size="):
            start("", wrong)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "long", None])
def test_what_cannot_be_a_timeout(wrong):
    for start in (run_ranks, lambda script, timeout: Ranks(1, script, timeout=timeout)):
        with pytest.raises(ValueError, match="timeout="):
            start("", timeout=wrong)


# Ranks that stay alive, and the functions that they call: a rank gets their source


def where(rank, world_size):
    import os

    print("process", rank, "of", world_size)
    return [rank, world_size, os.getpid(), os.getppid()]


def greeting():
    return "hello"


def greet(rank, world_size):
    return f"{greeting()} {rank}"


def summed(rank, world_size):  # the setup imports torch
    number = torch.tensor(rank + 1)  # noqa: F821
    dist.all_reduce(number)  # noqa: F821
    return number.item()


def raises(rank, world_size):
    if rank == 1:
        raise LookupError("no data left")
    time.sleep(600)


def dies(rank, world_size):
    if rank == 1:
        os._exit(7)
    time.sleep(600)


def is_killed(rank, world_size):
    if rank == 1:
        os.kill(os.getpid(), 9)
    time.sleep(600)


def leaves(rank, world_size):
    if rank == 1:
        os._exit(0)
    time.sleep(600)


def hangs(rank, world_size):
    if rank == 1:
        time.sleep(600)


def returns_a_set(rank, world_size):
    return {rank} if rank == 1 else [rank]


def is_in_a_collective(rank, world_size):
    if rank == 1:
        os._exit(7)
    dist.all_reduce(torch.ones(1))  # noqa: F821


IMPORTS = "import os, time\n"
GLOO = "import os, torch, torch.distributed as dist\ndist.init_process_group('gloo')\n"


def test_the_same_processes_answer_one_call_after_the_other(temporary, capsys):
    with Ranks() as ranks:
        answers = ranks.call(where)
        assert capsys.readouterr().out == "rank 0: process 0 of 2\nrank 1: process 1 of 2\n"
        assert ranks.call(where) == answers
    assert [answer[:2] for answer in answers] == [[0, 2], [1, 2]]
    started = {pid for answer in answers for pid in answer[2:]}
    assert len(started) == 3 and not any(map(is_alive, started)) and list(temporary.iterdir()) == []


def test_functions_that_others_need():
    with Ranks() as ranks:
        with pytest.raises(RuntimeError, match="NameError: name 'greeting' is not defined"):
            ranks.call(greet)
        ranks.define(greeting, where)
        assert ranks.call(greet) == ["hello 0", "hello 1"]  # started again, and knows what was defined
        new = {}
        exec("def greeting():\n    return 'good morning'\n", new)
        with pytest.raises(ValueError, match="function=greeting must be written in a cell or a file"):
            ranks.define(new["greeting"])


def test_a_function_that_is_defined_again_is_replaced(tmp_path):
    with Ranks(1) as ranks:
        for number in (1, 2):
            (tmp_path / f"new_{number}.py").write_text(f"def greeting():\n    return {number}\n")
            namespace = {}
            path = str(tmp_path / f"new_{number}.py")
            exec(compile(Path(path).read_text(), path, "exec"), namespace)
            ranks.define(namespace["greeting"])
            assert ranks.call(greet) == [f"{number} 0"]


def test_all_reduce_between_ranks_that_stay_alive():
    with Ranks(2, GLOO) as ranks:
        assert ranks.call(summed) == [3, 3] == ranks.call(summed)
        with pytest.raises(RuntimeError, match="rank 1 ended with exit code 7: no message"):
            ranks.call(is_in_a_collective)  # rank 0 is told "Connection closed by peer", and is not to blame
        assert ranks.call(summed) == [3, 3]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (raises, RuntimeError, "rank 1: LookupError: no data left\n\nTraceback (most recent call last):\n  File"),
        (dies, RuntimeError, "rank 1 ended with exit code 7: no message"),
        (is_killed, RuntimeError, "rank 1 ended with exit code -9: no message"),
        (leaves, RuntimeError, "rank 1 ended before it had returned from leaves"),
        (hangs, TimeoutError, "rank 1 had not returned from hangs after 4 seconds, other ranks had: is there an all-"),
        (returns_a_set, RuntimeError, "rank 1: TypeError: returns_a_set must return what JSON can hold, numbers,"),
    ],
)
def test_after_an_error_nothing_is_left_and_the_next_call_starts_again(temporary, function, error, message):
    with Ranks(2, IMPORTS, timeout=4) as ranks:
        before = {pid for answer in ranks.call(where) for pid in answer[2:]}
        with pytest.raises(error) as caught:
            ranks.call(function)
        assert str(caught.value).startswith(message)
        assert not any(map(is_alive, before)) and list(temporary.iterdir()) == []
        if function is raises:
            assert 'in raises\n    raise LookupError("no data left")\nLookupError' in str(caught.value)
            assert "_reply" not in str(caught.value), "the traceback begins in the function"
            after = {pid for answer in ranks.call(where) for pid in answer[2:]}
            assert before.isdisjoint(after)


def test_a_setup_that_fails_and_one_that_hangs(temporary, monkeypatch):
    failed = pytest.raises(RuntimeError, match=r"rank \d ended with exit code 1: LookupError: no such module")
    with Ranks(2, "raise LookupError('no such module')") as ranks, failed:
        ranks.call(where)
    monkeypatch.setattr(processes, "START", 8.0)
    late = pytest.raises(TimeoutError, match=r"the 2 ranks had not started after 8 seconds(.|\n)*rank 1:\n  here")
    with Ranks(2, "import sys, time\nprint('here', file=sys.stderr)\ntime.sleep(600)") as ranks, late:
        ranks.call(where)
    assert list(temporary.iterdir()) == []


def test_only_ranks_are_listened_to_and_only_on_this_machine():
    with Ranks(1) as ranks:
        address, port = ranks._server.getsockname()
        assert address == "127.0.0.1"
        with socket.create_connection((address, port)) as stranger, socket.create_connection((address, port)) as other:
            stranger.sendall(b'{"token": "guessed", "rank": 0}\n')
            other.sendall(b"\xff\n")
            assert ranks.call(greet_alone) == ["hello"]


def greet_alone(rank, world_size):
    return "hello"


def test_ranks_end_with_the_object_that_stands_for_them(temporary):
    ranks = Ranks(1)
    started = set(ranks.call(where)[0][2:])
    ranks = Ranks(1)  # as running the cell again does
    assert not any(map(is_alive, started))
    del ranks
    assert list(temporary.iterdir()) == []


CALLER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from course_utils.processes import Ranks
ranks = Ranks(2, {setup!r})
from tests.test_processes import greet_alone, hangs
ranks.call(greet_alone)
{then}
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL", "the end"])
def test_a_caller_that_ends_leaves_no_process_and_no_file(temporary, notes, how):
    then = "" if how == "the end" else "ranks.call(hangs)"
    call = CALLER.format(setup=NOTE_PIDS.format(folder=str(notes)), then=then)
    caller = subprocess.Popen([sys.executable, "-c", call], cwd=Path(__file__).parent.parent, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(pids(notes)) == 3)
        if then:
            assert all(map(is_alive, pids(notes)))
            caller.send_signal(getattr(signal, how))
        _, errors = caller.communicate(timeout=60)
        wait_until(lambda: not any(map(is_alive, pids(notes))))
    finally:
        caller.kill()
        caller.communicate()
    assert list(temporary.iterdir()) == []
    assert (b"KeyboardInterrupt" in errors) == (how == "SIGINT")


@pytest.mark.parametrize("now", [False, True])
def test_a_kernel_that_is_restarted_leaves_nothing(temporary, notes, now):
    setup = NOTE_PIDS.format(folder=str(notes))
    start = f"from course_utils.processes import Ranks\nranks = Ranks(2, {setup!r})"
    question = "def question(rank, world_size):\n    return rank\n\n\nassert ranks.call(question) == [0, 1]"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (start, question)])
    client = NotebookClient(book, timeout=120, kernel_manager_class="jupyter_client.KernelManager")
    with client.setup_kernel():
        for place, cell in enumerate(book.cells):
            client.execute_cell(cell, place)
        first = pids(notes)
        assert len(first) == 3 and all(map(is_alive, first))
        client.km.restart_kernel(now=now)
        wait_until(lambda: not any(map(is_alive, first)))
        wait_until(lambda: not list(temporary.glob("ranks-*")))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda rank, world_size: rank, ValueError, "function=<lambda> must have a name"),
        (print, TypeError, "function=<built-in function print>, of type builtin_function_or_method, must be of type"),
        ("where", TypeError, "function='where', of type str,"),
    ],
)
def test_what_cannot_be_called(wrong, error, message):
    with Ranks(1) as ranks:
        for take in (ranks.call, ranks.define):
            with pytest.raises(error) as caught:
                take(wrong)
            assert str(caught.value).startswith(message)
