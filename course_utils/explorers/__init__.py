"""The interactive figures of the lessons."""

from course_utils.explorers.clearing import zero_grad
from course_utils.explorers.cloud import gradient_cloud
from course_utils.explorers.digits import average_digit
from course_utils.explorers.explorer import Explorer
from course_utils.explorers.weights import four_loops, modulo_loop

__all__ = ["Explorer", "average_digit", "four_loops", "gradient_cloud", "modulo_loop", "zero_grad"]
