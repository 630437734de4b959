"""Cohorts of cases: stores, batches and the synthetic chest phantoms."""
