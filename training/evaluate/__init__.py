"""Metrics, pointing error and comparisons over sets of cases."""
