"""How nbgrader generates and grades these assignments. It reads this file from the folder it is called in."""

from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, SaveAutoGrades
from nbgrader.preprocessors.base import NbGraderPreprocessor


class WarningsCostNothing(NbGraderPreprocessor):
    """A right answer may warn or draw a progress bar; nbgrader gives no marks for a cell that writes to stderr."""

    def preprocess_cell(self, cell, resources, index):
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.name = "stdout"
        return cell, resources


c = get_config()  # noqa: F821 (the loader of this file puts it here)
c.CourseDirectory.course_id = "training_loops"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.pyc"]
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "Your answer."
c.Execute.timeout = 30
# The kernel of each submission warns on stderr that it runs over TCP without encryption: between the rows of scores.
c.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
c.OverwriteCells.add_missing_cells = True
c.Autograde.autograde_preprocessors = [
    Execute,
    WarningsCostNothing,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
