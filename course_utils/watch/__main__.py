"""python -m course_utils.watch [--updates N] [-m] script.py [arguments]: runs a script and reports its updates."""

import argparse
import os
import runpy
import sys
import traceback

from course_utils.watch.report import watch


def main() -> int:
    """Runs the script as `python script.py arguments` would. Returns 0 for right, 1 for a fault, 2 for nothing seen."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.watch",
        description="Runs a training script, unchanged, and prints the weight of each micro-batch in each update.",
        epilog="Exit status: 0 no fault was found, 1 a fault was found, 2 nothing could be seen.",
    )
    parser.add_argument(
        "--updates",
        type=int,
        default=8,
        help="end the script after N updates of each optimizer (default 8); 0: never",
        metavar="N",
    )
    parser.add_argument("-m", "--module", action="store_true", help="the script is a module, as in python -m")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    told = parser.parse_args()
    if told.updates < 0:
        parser.error(f"--updates {told.updates}: must be 0 or more")
    if not told.module and not os.path.isfile(told.script):
        parser.error(f"{told.script}: no such file")
    sys.argv = [told.script, *told.arguments]
    if not told.module:
        sys.path[0] = os.path.dirname(os.path.abspath(told.script))
    failed = False
    seen = watch(updates=told.updates)
    try:
        with seen:
            if told.module:
                runpy.run_module(told.script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(told.script, run_name="__main__")
    except SystemExit as ended:
        failed = ended.code not in (None, 0)
        if failed and not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        failed = True
    if seen.recording.rank == 0:  # which has what the other ranks have seen
        print(seen, flush=True)
    return 2 if failed and seen.exit_status == 0 else seen.exit_status


if __name__ == "__main__":
    sys.exit(main())
