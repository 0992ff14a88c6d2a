"""`python -m neurograph`."""

from .cli import main

main()
