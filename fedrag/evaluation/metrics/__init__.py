"""Metrics, one file each, under the field's names. A question without a result counts in every mean."""
