"""`python -m convalg` is the command `convalg`."""

from convalg.cli import main

if __name__ == "__main__":
    main()
