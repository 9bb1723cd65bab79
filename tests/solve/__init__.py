"""Tests of sepo.solve."""
