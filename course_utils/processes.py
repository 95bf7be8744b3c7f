"""Several real processes for a lesson: a script under torchrun, of which neither a process nor a file is left behind.

Each rank begins in this module, as `-m course_utils.processes script.py`, which ends it when the notebook is gone.
"""

import os
import re
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from course_utils.arguments import instance_of, positive_integer, real_number

GRACE = 10.0  # seconds that torchrun gets to end by itself, after which it is killed


def torchrun_command(script: str | Path, ranks: int = 2) -> list[str]:
    """The command that starts `script` as that many processes on this machine, which talk at 127.0.0.1 only.

    `--local-addr` is what makes it work on a machine that does not know the address of its own name: without it
    torchrun asks for that address, and waits. Raises ValueError if `ranks` is not a positive integer.
    """
    instance_of(str | os.PathLike, script=script)
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={positive_integer('ranks', ranks)}"]
    return ["torchrun", *options, str(script)]


def run_ranks(script: str, ranks: int = 2, *, timeout: float = 120.0) -> list[str]:
    """Runs `script`, Python source, as `ranks` processes under torchrun, and returns what each of them printed.

    The script and whatever it writes into its working folder or the temporary folder are gone when this returns or
    raises, and so are all processes, also after an interrupt (KeyboardInterrupt goes through). Should the caller be
    killed, its ranks end by themselves, and only the temporary folder stays.

    Raises RuntimeError if a rank fails, with the rank, its exit code and its last lines; TimeoutError if the ranks
    have not ended after `timeout` seconds; OSError if processes cannot talk to each other at 127.0.0.1; ValueError if
    `ranks` is not a positive integer or `timeout` not a positive number.
    """
    instance_of(str, script=script)
    options = torchrun_command("", ranks)[1:-1]
    timeout = real_number("timeout", timeout)
    _check_loopback()
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        path = Path(folder, "script.py")
        path.write_text(script, encoding="utf-8")
        options = [*options, "--redirects=3", f"--log-dir={folder}/logs", "-m", "course_utils.processes", str(path)]
        with open(Path(folder, "torchrun.log"), "w+b") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "torch.distributed.run", *options],
                stdin=subprocess.PIPE,  # it ends when we do, which is what the ranks wait for
                stdout=log,
                stderr=log,
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,  # Jupyter sends an interrupt to the whole group: torchrun hears of it from us
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise TimeoutError(
                    f"the {ranks} ranks had not ended after {timeout:g} seconds" + _last_lines(Path(folder))
                ) from None
            finally:
                _end(process)
        if code:
            raise RuntimeError(_failure(Path(folder), code))
        return [Path(folder_of_rank, "stdout.log").read_text("utf-8") for folder_of_rank in _folders(Path(folder))]


def _check_loopback() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        raise OSError(f"processes cannot talk to each other here: 127.0.0.1 does not answer ({error})") from error


def _environment(folder: str) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "TMPDIR": folder, "PYTHONUNBUFFERED": "1"}
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if loopback:
        environment["GLOO_SOCKET_IFNAME"] = loopback[0]
    return environment


def _end(process: subprocess.Popen) -> None:
    """Ends torchrun and its ranks, if they have not ended. It would leave them alone if it were killed at once."""
    try:
        process.stdin.close()
        if process.poll() is None:
            process.terminate()
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()
        process.wait()


def _folders(folder: Path) -> list[Path]:
    """Where the ranks' outputs are, in the order of the ranks."""
    return sorted(folder.glob("logs/*/attempt_*/*"), key=lambda path: int(path.name))


def _lines(path: Path) -> list[str]:
    """The lines of a log, without the rank that PyTorch writes before the lines of a traceback."""
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return [re.sub(r"^\[rank\d+\]: ?", "", line) for line in lines if line.strip()]


def _last_lines(folder: Path, lines: int = 5) -> str:
    parts = {f"rank {path.name}": _lines(path / "stderr.log")[-lines:] for path in _folders(folder)}
    parts = parts or {"torchrun": _lines(folder / "torchrun.log")[-lines:]}
    return "".join(f"\nthe last lines of {who}:\n  " + "\n  ".join(said) for who, said in parts.items() if said)


def _failure(folder: Path, code: int) -> str:
    """What went wrong, from torchrun's summary and the ranks' last lines; first the rank that failed by itself."""
    summary = "\n".join(_lines(folder / "torchrun.log"))
    exits = {int(r): int(c) for r, c in re.findall(r"rank\s+: (\d+) \(local_rank.*\s+exitcode\s+: (-?\d+)", summary)}
    exits = {rank: exit_code for rank, exit_code in exits.items() if exit_code != -15} or exits  # ended by torchrun
    said = {rank: "".join(_lines(path / "stderr.log")[-1:]) for rank, path in enumerate(_folders(folder))}
    if not exits:
        return f"torchrun ended with exit code {code}" + _last_lines(folder)
    first = min(exits, key=lambda rank: ("by peer" in said.get(rank, ""), rank))  # the others only lost a partner
    return f"rank {first} ended with exit code {exits[first]}: {said.get(first) or 'no message'}" + _last_lines(folder)


def _be_a_rank(script: str) -> None:
    """Runs `script` as __main__, in a process that ends as soon as its standard input does.

    A script that has run to its end ends the process at once, without what Python does at exit: there PyTorch's own
    threads can abort a process whose work is done ("terminate called without an active exception", exit code -6).
    """

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _be_a_rank(sys.argv[1])
