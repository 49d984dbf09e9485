"""The archive on disk: SQLite as the source of truth, and the vector indexes derived from it."""
