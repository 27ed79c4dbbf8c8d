"""Damaged and hostile files: each is read, or refused with one sentence.

`python -m tests.hostile --count 3000` tries many and prints a table; `test_hostile.py` tries a few hundred.
"""
