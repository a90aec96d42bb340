"""Suites, one file each: a data set, how it becomes hospitals, and what counts."""
