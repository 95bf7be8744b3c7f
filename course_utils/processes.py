"""Several real processes for a lesson, under torchrun, of which neither a process nor a file is left behind.

`run_ranks` runs a script from its beginning to its end. `Ranks` stay alive, and call one function after the other.
Each rank begins in this module, as `-m course_utils.processes`, which ends it when the notebook is gone.
"""

import contextlib
import hmac
import inspect
import io
import json
import linecache
import os
import re
import runpy
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, Self

from course_utils.arguments import instance_of, positive_integer, real_number

GRACE = 10.0  # seconds that torchrun gets to end by itself, after which it is killed
START = 120.0  # seconds that ranks get to import what they need and to connect
FOLDER, ADDRESS = "COURSE_RANKS_FOLDER", "COURSE_RANKS_ADDRESS"  # environment variables that a rank gets


def torchrun_command(script: str | Path, world_size: int = 2) -> list[str]:
    """The command that starts `script` as that many processes on this machine, which talk at 127.0.0.1 only.

    `--local-addr` is what makes it work on a machine that does not know the address of its own name: without it
    torchrun asks for that address, and waits. Raises ValueError if `world_size` is not a positive integer.
    """
    instance_of(str | os.PathLike, script=script)
    world_size = positive_integer("world_size", world_size)
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={world_size}"]
    return ["torchrun", *options, str(script)]


def run_ranks(script: str, world_size: int = 2, *, timeout: float = 120.0) -> list[str]:
    """Runs `script`, Python source, as `world_size` ranks under torchrun, and returns what each of them printed.

    The script and whatever it writes into its working folder or the temporary folder are gone when this returns or
    raises, and so are all processes, also after an interrupt (KeyboardInterrupt goes through). Should the caller be
    killed, its ranks end by themselves, and remove the folder.

    Raises RuntimeError if a rank fails, with the rank, its exit code and its last lines; TimeoutError if the ranks
    have not ended after `timeout` seconds; OSError if processes cannot talk to each other at 127.0.0.1; ValueError if
    `world_size` is not a positive integer or `timeout` not a positive number.
    """
    instance_of(str, script=script)
    world_size = positive_integer("world_size", world_size)
    timeout = real_number("timeout", timeout)
    torchrun = _Torchrun(script, world_size)
    try:
        code = torchrun.process.wait(timeout)
        if code:
            raise RuntimeError(_failure(torchrun.folder, code))
        return [Path(rank, "stdout.log").read_text("utf-8") for rank in _folders(torchrun.folder)]
    except subprocess.TimeoutExpired:
        seconds = f"the {world_size} ranks had not ended after {timeout:g} seconds"
        raise TimeoutError(seconds + _last_lines(torchrun.folder)) from None
    finally:
        torchrun.end()


class Ranks:
    """Ranks under torchrun that stay alive, and call one function after the other.

    The constructor starts them in the background: each runs the source text `setup`, and waits. `call` runs a function
    on all of them. They end with `close()`, at the end of a `with` block, when the object is deleted and when Python
    ends, and by themselves should Python be killed; no file is left. `call` starts them again after an error, an
    interrupt or `close()`.

    Raises OSError if processes cannot talk to each other at 127.0.0.1, and ValueError if `world_size` is not a positive
    integer or `timeout` not a positive number.
    """

    def __init__(self, world_size: int = 2, setup: str = "", *, timeout: float = 60.0) -> None:
        instance_of(str, setup=setup)
        self.world_size = positive_integer("world_size", world_size)
        self._setup, self._timeout = setup, real_number("timeout", timeout)
        self._definitions: dict[str, _Source] = {}
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def define(self, *functions: Callable) -> None:
        """Makes these functions known to all functions that are called from now on; one of the same name is replaced.

        What travels is their source: a rank has the global names of `setup` and of other defined functions, no others.
        Raises TypeError for what is no function, and ValueError for one without a name or without a source.
        """
        sources = [_Source.of(function) for function in functions]
        self._definitions |= {source.name: source for source in sources}

    def call(self, function: Callable[[int, int], Any]) -> list[Any]:
        """Runs function(rank, world_size) on all ranks at once, and returns their results in the order of the ranks.

        A result is what JSON can hold: numbers, strings, None, lists and dicts of them; a tuple arrives as a list. What
        a function prints is printed here, after the rank it comes from.

        Raises RuntimeError if a rank raises or dies, with the rank and its traceback or last lines; TimeoutError if
        ranks have not returned after `timeout` seconds; TypeError and ValueError as `define` does.
        """
        source = _Source.of(function)
        request = {"definitions": list((self._definitions | {source.name: source}).values()), "function": source.name}
        try:
            if not self._finalizer.alive:
                self._start()
            self._connect()
            for connection in self._connections:
                connection.send(request)
            replies = self._replies(source.name)
        except BaseException:  # an interrupt, too: who knows what the ranks are doing
            self.close()
            raise
        for rank, reply in enumerate(replies):
            for line in reply["printed"].splitlines():
                print(f"rank {rank}: {line}")
        return [reply["result"] for reply in replies]

    def close(self) -> None:
        """Ends all ranks, if they have not ended."""
        self._finalizer()

    def _start(self) -> None:
        self._connections: list[_Connection] = []
        self._server, self._token = socket.create_server(("127.0.0.1", 0)), secrets.token_hex(16)
        try:
            address = f"{self._server.getsockname()[1]}:{self._token}"
            self._torchrun = _Torchrun(self._setup, self.world_size, **{ADDRESS: address})
        except BaseException:
            self._server.close()
            raise
        self._finalizer = weakref.finalize(self, _end_ranks, self._torchrun, self._server, self._connections)

    def _connect(self) -> None:
        """Waits until all ranks have run the setup and are connected."""
        deadline = time.monotonic() + START
        while len(self._connections) < self.world_size:
            if self._torchrun.process.poll() is not None:
                raise RuntimeError(_failure(self._torchrun.folder, self._torchrun.process.returncode))
            if time.monotonic() > deadline:
                last_lines = _last_lines(self._torchrun.folder)
                raise TimeoutError(f"the {self.world_size} ranks had not started after {START:g} seconds" + last_lines)
            if wait([self._server], timeout=0.1):
                connection = _Connection(self._server.accept()[0])
                hello = connection.receive(timeout=5.0) or {}
                if hmac.compare_digest(str(hello.get("token")).encode(), self._token.encode()):
                    connection.rank = hello["rank"]
                    self._connections.append(connection)
                else:
                    connection.close()
        self._connections.sort(key=lambda connection: connection.rank)

    def _replies(self, name: str) -> list[dict]:
        """What the ranks answer, if none fails. One that only lost its partner waits for the one that failed first."""
        deadline, replies = time.monotonic() + self._timeout, {}
        errors: dict[int, dict] = {}
        while len(replies) < self.world_size:
            waiting = [connection for connection in self._connections if connection.rank not in replies]
            ready = wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            for connection in ready:
                reply = connection.receive()
                if reply is None:
                    raise RuntimeError(self._died(connection.rank, name))
                replies[connection.rank] = reply
            errors = {rank: reply for rank, reply in replies.items() if "error" in reply}
            failed = [rank for rank in errors if "by peer" not in errors[rank]["error"]]
            if not ready:
                break
            if errors:
                deadline = min(deadline, time.monotonic() + (0.2 if failed else GRACE))
        if errors:
            rank = min(failed or errors)
            raise RuntimeError(f"rank {rank}: {errors[rank]['error']}\n\n{errors[rank]['traceback']}")
        if len(replies) < self.world_size:
            raise TimeoutError(self._late(name, [rank for rank in range(self.world_size) if rank not in replies]))
        return [replies[rank] for rank in range(self.world_size)]

    def _died(self, rank: int, name: str) -> str:
        try:
            code = self._torchrun.process.wait(GRACE)  # it ends the other ranks, and says which one failed
        except subprocess.TimeoutExpired:  # it does not mind a rank that ends with exit code 0
            return f"rank {rank} ended before it had returned from {name}" + _last_lines(self._torchrun.folder)
        return _failure(self._torchrun.folder, code)

    def _late(self, name: str, late: list[int]) -> str:
        ranks = f"rank{'s' * (len(late) > 1)} {', '.join(map(str, late))}"
        hint = ", other ranks had: is there an all-reduce that not all of them join?" * (len(late) < self.world_size)
        return f"{ranks} had not returned from {name} after {self._timeout:g} seconds{hint}"


class _Source(NamedTuple):
    """A function as text, and where it stands, for tracebacks."""

    name: str
    text: str

    @classmethod
    def of(cls, function: Callable) -> Self:
        instance_of(FunctionType, function=function)
        if not function.__name__.isidentifier():
            raise ValueError(f"function={function.__name__} must have a name: write it with def")
        try:
            return cls(function.__name__, textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError) as error:
            raise ValueError(f"function={function.__name__} must be written in a cell or a file: {error}") from error


class _Connection:
    """Messages between the notebook and a rank, each a line of JSON."""

    def __init__(self, connected: socket.socket) -> None:
        self.rank: int | None = None  # of the other end
        self._socket, self._file = connected, connected.makefile("rw", encoding="utf-8", newline="\n")

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: dict) -> None:
        with contextlib.suppress(OSError):  # the other end is gone, which `receive` tells
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()

    def receive(self, timeout: float | None = None) -> dict | None:
        """The next message, or None if the other end is gone, does not answer in time, or sends something else."""
        try:
            self._socket.settimeout(timeout)
            message = json.loads(self._file.readline())
            self._socket.settimeout(None)
        except (OSError, ValueError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._socket.close()


class _Torchrun:
    """A torchrun of this module, with a folder for all that its ranks write."""

    def __init__(self, script: str, world_size: int, **environment: str) -> None:
        _check_loopback()
        options = torchrun_command("", world_size)[1:-1]
        self._temporary = tempfile.TemporaryDirectory(prefix="ranks-")
        self.folder = Path(self._temporary.name)
        path = self.folder / "script.py"
        path.write_text(script, encoding="utf-8")
        options = [*options, "--redirects=3", f"--log-dir={self.folder}/logs", "-m", "course_utils.processes"]
        try:
            with open(self.folder / "torchrun.log", "w+b") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "torch.distributed.run", *options, str(path)],
                    stdin=subprocess.PIPE,  # it ends when we do, which is what the ranks wait for
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env=_environment(self.folder) | environment,
                    start_new_session=True,  # Jupyter interrupts the whole group: torchrun hears of it from us
                )
        except BaseException:
            self._temporary.cleanup()
            raise

    def end(self) -> None:
        try:
            _end(self.process)
        finally:
            self._temporary.cleanup()


def _end_ranks(torchrun: _Torchrun, server: socket.socket, connections: list[_Connection]) -> None:
    for connected in (server, *connections):
        connected.close()
    torchrun.end()


def _check_loopback() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        raise OSError(f"processes cannot talk to each other here: 127.0.0.1 does not answer ({error})") from error


def _environment(folder: Path) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if loopback:
        environment["GLOO_SOCKET_IFNAME"] = loopback[0]
    return environment | {FOLDER: str(folder)}


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
    """Runs `script`, and calls functions if a notebook asks for it, in a process that ends when the notebook has ended.

    A script that has run to its end ends the process at once, without what Python does at exit: there PyTorch's own
    threads can abort a process whose work is done ("terminate called without an active exception", exit code -6).
    """
    folder, address = os.environ.pop(FOLDER, None), os.environ.pop(ADDRESS, None)

    def watch() -> None:
        os.read(0, 1)  # returns when the standard input ends
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    sys.argv = [script]
    if address:
        _call_functions(script, *address.split(":"))
    else:
        runpy.run_path(script, run_name="__main__")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _call_functions(setup: str, port: str, token: str) -> None:
    """Runs the file `setup`, connects to the notebook, and calls what it asks for, until the connection ends."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(Path(setup).read_text(encoding="utf-8"), setup, "exec"), names)
    notebook = _Connection(socket.create_connection(("127.0.0.1", int(port))))
    notebook.send({"token": token, "rank": int(os.environ["RANK"])})
    while request := notebook.receive():
        notebook.send(_reply(names, **request))


def _reply(names: dict[str, Any], definitions: list[list[str]], function: str) -> dict:
    try:
        for name, text in definitions:
            place = f"<{name}>"
            linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
            exec(compile(text, place, "exec"), names)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = names[function](int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
        try:
            json.dumps(result)
        except (TypeError, ValueError) as error:
            allowed = "numbers, strings, None, lists and dicts (a tensor has item() and tolist())"
            raise TypeError(f"{function} must return what JSON can hold, {allowed}: {error}") from None
        return {"result": result, "printed": printed.getvalue()}
    except BaseException as error:  # SystemExit, too
        error.__traceback__ = error.__traceback__.tb_next  # without this function
        last = traceback.format_exception_only(error)[-1].strip()
        return {"error": last, "traceback": "".join(traceback.format_exception(error))}


if __name__ == "__main__":
    _be_a_rank(sys.argv[1])
