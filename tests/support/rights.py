"""Run Python without root's right to read and write what the mode of a file forbids."""

import sys

DROP_RIGHTS = """
import ctypes
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP
"""
PYTHON_WITHOUT_RIGHTS = [
    sys.executable,
    "-c",
    f"{DROP_RIGHTS}\nimport os, sys\nos.execv(sys.argv[1], sys.argv[1:])",
    sys.executable,
]
