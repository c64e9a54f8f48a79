"""The command's entry, of the script and of `python -m channeld`: signals are minded before anything large is imported."""

import sys

from channeld.cli.interrupt import leave_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command that `sys.argv` names, and end the process with its exit status."""
    leave_quietly(sys.argv[1:])
    from channeld.cli.main import main as run  # noqa: PLC0415 - with click, a quarter of a second

    run()


if __name__ == "__main__":
    main()
