"""Audit of a cohort's predictions: what to look at, what the books suggest, what reviewers say, and the report."""
