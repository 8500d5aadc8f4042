"""`python -m bench`. Nothing is imported here before it is needed: every process of a job reads this file again."""

import sys

if __name__ == "__main__":
    from bench.cli import main

    sys.exit(main())
