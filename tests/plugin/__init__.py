"""Games of other packages: a small package of that kind, and tests that install it."""
