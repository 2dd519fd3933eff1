"""`python -m gdrepl` is the command `gdrepl`."""

import sys

from gdrepl.shell.cli import main

if __name__ == "__main__":
    sys.exit(main())
