"""Data sets: demonstrations as files that other trainers read. Knows no model."""
