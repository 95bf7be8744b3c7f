"""Runs notebooks under strict nbval as other machines would: python -m tests.matrix NOTEBOOK ...

Every CPU capability that PyTorch knows (they draw other random numbers, or round differently) with 1 and 2 threads, and
once without a network. Prints a table, and exits with 1 if anything failed.
"""

import itertools
import os
import shutil
import subprocess
import sys
import time

import torch

CAPABILITIES = ["default", "avx2", "avx512"]
NO_NETWORK = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def run(notebooks: list[str], threads: int = 1, prefix: list[str] | None = None, **variables: str) -> tuple[str, str]:
    """The verdict of one run, and its output if it failed. Two threads and two workers would wait for each other."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-q",
        "-n",
        str(2 // threads),
        "--dist",
        "loadscope",
        *notebooks,
    ]
    variables["OMP_NUM_THREADS"] = str(threads)
    started = time.perf_counter()
    done = subprocess.run((prefix or []) + command, env=os.environ | variables, capture_output=True, text=True)
    verdict = "passed" if done.returncode == 0 else "FAILED"
    return f"{verdict} in {time.perf_counter() - started:.0f} s", done.stdout + done.stderr if done.returncode else ""


def possible_capabilities() -> list[str]:
    """Those of CAPABILITIES that this CPU has. (Asked for another, PyTorch crashes in the middle of a run.)"""
    best = torch.backends.cpu.get_cpu_capability().lower()
    return CAPABILITIES[: CAPABILITIES.index(best) + 1] if best in CAPABILITIES else CAPABILITIES[:1]


def main(notebooks: list[str]) -> int:
    failures = []
    for wanted, threads in itertools.product(CAPABILITIES, [1, 2]):
        name = f"{wanted}, {threads} thread{'s' * (threads == 2)}"
        if wanted not in possible_capabilities():
            print(f"{name:20} not possible on this CPU", flush=True)
            continue
        verdict, output = run(notebooks, threads, ATEN_CPU_CAPABILITY=wanted)
        print(f"{name:20} {verdict}", flush=True)
        failures += [output] if output else []
    if shutil.which("unshare") and shutil.which("ip"):
        verdict, output = run(notebooks, prefix=NO_NETWORK)
        print(f"{'no network':20} {verdict}", flush=True)
        failures += [output] if output else []
    else:
        print(f"{'no network':20} not possible here: needs Linux with unshare and ip")
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or sys.exit(__doc__)))
