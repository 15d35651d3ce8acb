"""``python -m acenv``: the command line."""

from acenv.cli import main

if __name__ == "__main__":
    main()
