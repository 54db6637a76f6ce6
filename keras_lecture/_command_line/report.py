"""Says what is wrong with a recorded training run and what to do, and writes the report as one HTML page.

The run is a file of the doctor: doctor.json of `train --doctor`, or the file that `callbacks.Doctor.save` wrote.
It needs neither the model nor the data.
"""

from pathlib import Path

from keras_lecture._command_line.documents import damage, read_document
from keras_lecture._command_line.endings import OWNER, usage_errors
from keras_lecture._command_line.telling import add_output, check_page, tell
from keras_lecture._core import checks

OPERANDS = "RUN.json"


def add_arguments(parser):
    parser.add_argument("run", type=Path, metavar="RUN.json", help="the file of the doctor")
    group = add_output(parser, "RUN.html beside RUN.json")
    group.add_argument("--compare", type=Path, metavar="OTHER.json", help="show this run beside it on the page")
    about = (
        "only findings that were named, changed or healed after this step, and treatments after it; the exit code stays"
    )
    group.add_argument("--since", type=int, metavar="STEP", help=about)


def run(arguments) -> int:
    with usage_errors():
        check_page(arguments.out)
        if arguments.since is not None:
            checks.whole(OWNER, "--since", arguments.since, "[0, ∞)")
        document = read_document("RUN.json", arguments.run)
        other = None if arguments.compare is None else read_document("--compare", arguments.compare)
    page = arguments.out or arguments.run.with_suffix(".html")
    with damage(arguments.run, arguments.compare):
        return tell(document, page, as_json=arguments.json, compare=other, since=arguments.since)
