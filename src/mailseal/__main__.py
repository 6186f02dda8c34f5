"""`python -m mailseal` is the `mailseal` command."""

from mailseal.cli import main

if __name__ == "__main__":
    main()
