"""``python -m acenv``: the command line."""

from acenv.cli import main

main()
