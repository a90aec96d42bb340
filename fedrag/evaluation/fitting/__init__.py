"""Fitting what is shipped fitted, from the data that evaluations read."""
