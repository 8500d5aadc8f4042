"""`python -m grandstand`: the same command as `grandstand`."""

from grandstand.cli.main import main

if __name__ == "__main__":
    main()
