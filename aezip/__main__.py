"""``python -m aezip`` is the command line."""

from .cli import main

main()
