"""``python -m genesis`` is the command ``genesis``."""

from genesis.cli.main import run

if __name__ == "__main__":
    run()
