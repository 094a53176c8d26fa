"""``python -m tailrace``: the command line, also where no script is on the path."""

from tailrace.cli import main

if __name__ == "__main__":
    main()
