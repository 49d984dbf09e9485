"""Test doubles, fault injection and tiny random checkpoints, usable by other projects."""
