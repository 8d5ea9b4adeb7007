"""``python -m unet2015``: the same as the command ``unet2015``."""

from unet2015.cli import main

if __name__ == "__main__":
    main()
