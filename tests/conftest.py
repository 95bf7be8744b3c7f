"""Prints how many answers the graders were tried on."""

from collections import Counter

GRADED = {
    "test_a_right_answer_gets_all_marks": "right answers that get all marks",
    "test_a_wrong_answer_loses_marks_and_is_told_why": "wrong answers that lose marks and are told why",
    "test_the_solution_gets_all_marks_and_the_stub_none": "exercises whose solution gets all marks and the stub none",
}


def pytest_terminal_summary(terminalreporter):
    names = (report.nodeid.partition("::")[2].partition("[")[0] for report in terminalreporter.getreports("passed"))
    count = Counter(name for name in names if name in GRADED)
    if count:
        found = "; ".join(f"{count[name]} {what}" for name, what in GRADED.items())
        terminalreporter.write_line(f"The graders were graded: {found}.")
