"""`python -m mfq.cli`, as for torchrun."""

import sys

from mfq.cli import main

if __name__ == "__main__":
    sys.exit(main())
