"""The graders are graded: right answers get all marks, wrong ones lose some and are told why, the stub gets none."""

from collections import Counter

import pytest

from tests import grading
from tests.grading import NAMES

ANSWERS = [answer for name in NAMES for answer in grading.answers(name)]
EXERCISES = [(name, exercise) for name in NAMES for exercise in grading.exercises(grading.read(name, "source"))]


def named(answer: grading.Answer) -> str:
    return f"{answer.assignment}-{answer.exercise}-{answer.title}"


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if answer.is_right], ids=named)
def test_a_right_answer_gets_all_marks(answer):
    found = grading.marks(answer.assignment, answer.exercise, answer.code)
    assert found.messages == [] and found.points == found.out_of > 0


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if not answer.is_right], ids=named)
def test_a_wrong_answer_loses_marks_and_is_told_why(answer):
    found = grading.marks(answer.assignment, answer.exercise, answer.code)
    assert found.points < found.out_of
    assert answer.says and answer.says in "\n".join(found.messages)


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_the_solution_gets_all_marks_and_the_stub_none(name, exercise):
    solution, stub = (
        next(cell.source for cell in grading.read(name, folder) if grading.grade_id(cell) == exercise)
        for folder in ("source", "release")
    )
    found = grading.marks(name, exercise, solution)
    assert found.messages == [] and found.points == found.out_of > 0
    assert grading.marks(name, exercise, stub).points == 0


def test_every_exercise_has_enough_answers():
    count = Counter((answer.assignment, answer.exercise, answer.is_right) for answer in ANSWERS)
    assert {(name, exercise) for name, exercise, _ in count} == set(EXERCISES)
    assert [pair for pair in EXERCISES if count[*pair, False] < 4 or count[*pair, True] < 2] == []
