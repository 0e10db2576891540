"""`python -m frugalctl`."""

from frugalctl.cli.app import main

if __name__ == "__main__":
    main()
