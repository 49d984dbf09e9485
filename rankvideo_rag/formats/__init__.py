"""Readers and writers of TREC, JSONL and published data set files. Every error names file and line."""
