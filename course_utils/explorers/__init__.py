"""The interactive figures of the lessons."""

from course_utils.explorers.adam import second_moment
from course_utils.explorers.clearing import zero_grad
from course_utils.explorers.cloud import gradient_cloud
from course_utils.explorers.digits import average_digit
from course_utils.explorers.explorer import Explorer
from course_utils.explorers.momentum import valley
from course_utils.explorers.planner import memory_planner
from course_utils.explorers.scaling import noisy_quadratic
from course_utils.explorers.scheduling import plateau
from course_utils.explorers.weights import four_loops, modulo_loop

__all__ = [
    "Explorer",
    "average_digit",
    "four_loops",
    "gradient_cloud",
    "memory_planner",
    "modulo_loop",
    "noisy_quadratic",
    "plateau",
    "second_moment",
    "valley",
    "zero_grad",
]
