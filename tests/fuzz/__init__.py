"""Random networks against a literal interpreter of layer masking.

`networks` writes random networks as code, `interpreter` computes what layer masking says about them, slowly and in
double precision, and `checks` compares the engine with it and with itself. `python -m tests.fuzz` runs many of them.
"""
