"""The command's entry, of the script and of `python -m channeld`: Ctrl-C is quiet before anything large is imported."""

from typing import NoReturn

from channeld.cli.interrupt import leave_quietly


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and end the process with its exit status."""
    leave_quietly()
    from channeld.cli.main import main as run  # noqa: PLC0415 - with click, a quarter of a second

    run()


if __name__ == "__main__":
    main()
