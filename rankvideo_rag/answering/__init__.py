"""Answers from evidence: numbered blocks of timed text, and citations that are verified before they are shown."""
