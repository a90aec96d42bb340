"""`python -m fedrag` is `fedrag`."""

from fedrag.cli import main

if __name__ == "__main__":
    main()
