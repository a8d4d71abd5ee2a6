"""``python -m ddpm``."""

from ddpm.cli import main

if __name__ == "__main__":
    main()
