"""`python -m headwater` is the program."""

from .program import main

main()
