"""Tests of benchmarks and of sepo.cli.bench."""
