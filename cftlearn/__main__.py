"""``python -m cftlearn``."""

import sys

from cftlearn.cli import main

if __name__ == "__main__":
    sys.exit(main())
