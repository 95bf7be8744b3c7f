"""What the graders notice of small mistakes: python -m tests.mutation [ASSIGNMENT ...]

Each exercise's solution is changed in one place (an operator, a constant, a call, an argument, a dropped line), and
every such mutant is graded as a student's answer. A mutant that keeps all marks is compared with the solution on the
inputs of tests/samples: if nothing differs on any of them it is equivalent, and does not count. Prints for each
exercise how many of the others lost marks, and those that did not.
"""

import ast
import contextlib
import copy
import importlib
import io
import multiprocessing
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch

from tests import grading
from tests.samples import same

SECONDS = 60  # twice nbgrader's limit for a cell: a mutant that takes longer loses marks
SEEDS = 40  # so many inputs decide whether a mutant is equivalent
OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult, ast.FloorDiv],
    ast.FloorDiv: [ast.Div, ast.Mult], ast.Mod: [ast.FloorDiv], ast.Pow: [ast.Mult], ast.MatMult: [ast.Mult],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.And: [ast.Or], ast.Or: [ast.And],
}  # fmt: skip
CALLS = {
    "min": ["max"], "max": ["min"], "sum": ["mean"], "mean": ["sum"], "any": ["all"], "all": ["any"],
    "floor": ["ceil"], "ceil": ["floor"], "train": ["eval"], "eval": ["train"], "sqrt": ["abs"],
    "square": ["abs"], "no_grad": ["enable_grad"], "modules": ["children"], "children": ["modules"],
}  # fmt: skip


class Mutant(NamedTuple):
    change: str
    code: str


def mutants(code: str) -> list[Mutant]:
    """Every program that differs from `code` by one small change, with the change in words."""
    tree, found = ast.parse(code), {}
    for path, node in _places(tree):
        for new in _replacements(node):
            mutated = copy.deepcopy(tree)
            *way, (field, index) = path
            parent = mutated
            for step in way:
                parent = _at(parent, *step)
            _put(parent, field, index, new)
            try:
                text = ast.unparse(ast.fix_missing_locations(mutated))
                compile(text, "mutant", "exec")
            except (SyntaxError, ValueError):
                continue
            if text not in found and ast.dump(ast.parse(text)) != ast.dump(tree):
                before, after = (ast.unparse(n).splitlines()[0] if n else "(dropped)" for n in (node, new))
                found[text] = f"line {getattr(node, 'lineno', '?')}: {before}  ->  {after}"
    return [Mutant(change, text) for text, change in found.items()]


def _places(node: ast.AST, path: tuple = ()) -> Iterator[tuple[tuple, ast.AST]]:
    """Every node below `node` that may be changed, with the fields that lead to it. Docstrings and stubs are left."""
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "args") and isinstance(node, ast.FunctionDef):
            continue  # the signature is given
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not (isinstance(child, ast.Expr) and _is_text(child.value)):
                here = (*path, (field, index))
                yield here, child
                yield from _places(child, here)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _at(node: ast.AST, field: str, index: int | None) -> ast.AST:
    value = getattr(node, field)
    return value if index is None else value[index]


def _put(node: ast.AST, field: str, index: int | None, new: ast.AST | None) -> None:
    if index is None:
        setattr(node, field, new)
    elif new is None:
        del getattr(node, field)[index]
        if not getattr(node, field) and isinstance(node, ast.stmt) and field == "body":
            getattr(node, field).append(ast.Pass())
    elif isinstance(new, ast.Module):
        getattr(node, field)[index : index + 1] = new.body
    else:
        getattr(node, field)[index] = new


def _replacements(node: ast.AST) -> Iterator[ast.AST | None]:
    """What may stand in the place of `node`; None drops it."""
    changed = copy.deepcopy(node)
    if isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.For)):
        yield None
    if isinstance(node, ast.With):
        yield ast.Module(node.body, [])
    if isinstance(node, ast.For):
        yield ast.For(node.target, node.iter, [*node.body, ast.Break()], node.orelse)
    if isinstance(node, ast.Return) and node.value:
        yield ast.Return(None)
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        for operator in OPERATORS.get(type(node.op), []):
            yield _with(changed, op=operator())
        if isinstance(node, ast.BinOp):
            yield from (node.left, node.right)
        if isinstance(node, ast.BoolOp):
            yield from node.values
    if isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), []):
            yield _with(changed, ops=[operator(), *node.ops[1:]])
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, (ast.If, ast.IfExp)):
        yield _with(changed, test=ast.Constant(True))
        yield _with(changed, test=ast.Constant(False))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    if isinstance(node, ast.keyword):
        yield None
    if isinstance(node, ast.comprehension):
        for index in range(len(node.ifs)):
            yield _with(changed, ifs=node.ifs[:index] + node.ifs[index + 1 :])
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for other in CALLS.get(name, []):
            function = copy.deepcopy(node.func)
            setattr(function, "attr" if isinstance(function, ast.Attribute) else "id", other)
            yield _with(changed, func=function)
        if len(node.args) == 2:
            yield _with(changed, args=node.args[::-1])
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
            yield node.func.value  # without the last call
        if len(node.args) == 1 and name in ("int", "float", "list", "abs", "round", "len"):
            yield node.args[0]
    if isinstance(node, ast.Slice):
        for field in ("lower", "upper", "step"):
            if getattr(node, field):
                yield _with(changed, **{field: None})


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.deepcopy(node)
    for field, value in fields.items():
        setattr(new, field, value)
    return new


def keeps_all_marks(assignment: str, exercise: str, code: str) -> bool:
    found = grading.marks(assignment, exercise, code)
    return found.points == found.out_of


def is_equivalent(assignment: str, exercise: str, solution: str, code: str) -> bool:
    """Whether `code` does what `solution` does, on each of the exercise's samples."""
    sample = getattr(importlib.import_module(f"tests.samples.{assignment}"), exercise)
    return all(
        same(*(outcome(assignment, exercise, each, sample, seed) for each in (solution, code))) for seed in range(SEEDS)
    )


def outcome(assignment: str, exercise: str, code: str, sample: Callable, seed: int) -> object:
    namespace = grading.given(assignment, exercise)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(code, "cell", "exec"), namespace)
        torch.manual_seed(seed)
        return sample(namespace[exercise], random.Random(seed))


def in_a_process(question: Callable[[], bool], otherwise: bool) -> bool:
    """The answer to `question`, asked in a process of its own; `otherwise` if it takes too long, or dies."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: sender.send(question()))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(SECONDS) else otherwise
    except EOFError:
        return otherwise
    finally:
        process.kill()
        process.join()


def judged(assignment: str, exercise: str, solution: str, mutant: Mutant) -> str:
    if not in_a_process(partial(keeps_all_marks, assignment, exercise, mutant.code), otherwise=False):
        return "caught"
    if in_a_process(partial(is_equivalent, assignment, exercise, solution, mutant.code), otherwise=False):
        return "equivalent"
    return "survived"


def main(names: list[str]) -> None:
    print(f"{'exercise':45} {'mutants':>7} {'equivalent':>10} {'caught':>6}")
    for name in names:
        cells = grading.read(name, "source")
        for exercise in grading.exercises(cells):
            solution = next(cell.source for cell in cells if grading.grade_id(cell) == exercise)
            changed = mutants(solution)
            assert keeps_all_marks(name, exercise, solution)  # and imports and loads here what each process would again
            with ThreadPoolExecutor(2) as pool:
                verdicts = list(pool.map(partial(judged, name, exercise, solution), changed))
            caught, equivalent = verdicts.count("caught"), verdicts.count("equivalent")
            share = caught / max(1, len(changed) - equivalent)
            print(f"{name + ', ' + exercise:45} {len(changed):7} {equivalent:10} {caught:6}  {share:.0%}", flush=True)
            for mutant, verdict in zip(changed, verdicts, strict=True):
                if verdict != "caught":
                    print(f"    {verdict}: {mutant.change}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or grading.NAMES)
