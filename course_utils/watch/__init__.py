"""Watches any training code, unchanged: which weight has each micro-batch in each update?

with watch(model) as seen:
    main()
print(seen)
"""

from course_utils.watch.reading import FAULTS, Fault, MicroBatch, Row, Table
from course_utils.watch.report import Watched, assert_right, watch

__all__ = ["FAULTS", "Fault", "MicroBatch", "Row", "Table", "Watched", "assert_right", "watch"]
