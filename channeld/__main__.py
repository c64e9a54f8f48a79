"""`python -m channeld`: the command line where the script is not on the PATH."""

from channeld.cli.main import main

if __name__ == "__main__":
    main()
