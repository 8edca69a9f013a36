"""`python -m recaudo` is the command line."""

from recaudo.cli import main

if __name__ == "__main__":
    main()
