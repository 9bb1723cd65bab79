"""``python -m sepo``, as ``accelerate launch -m sepo`` starts it."""

from sepo.cli.main import main

if __name__ == "__main__":
    main()
