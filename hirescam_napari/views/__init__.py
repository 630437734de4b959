"""Panels; each is one widget that shows a state and never changes a result."""
