"""The archive on disk: archive.db, the source of truth, and the vector indexes derived from it."""
