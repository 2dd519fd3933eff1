"""`python -m gdrepl` is the command `gdrepl`."""

from gdrepl.shell.cli import entry

if __name__ == "__main__":
    entry()
