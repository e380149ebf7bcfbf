"""`python -m wellbegun` is the command `wellbegun`."""

from wellbegun.cli.main import main

if __name__ == "__main__":
    main()
