"""Exact computation on game trees held as flat arrays. numpy only; knows no model."""
