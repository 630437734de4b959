"""Vocabulary of the report labeler; plain TOML that a user can extend."""
