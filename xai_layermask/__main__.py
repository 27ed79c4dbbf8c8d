"""`python -m xai_layermask` is the command `xai-layermask`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# `python -m` puts the working directory first, where a file could shadow an installed package. It is needed only
# where this package itself lies there.
if not getattr(sys.flags, "safe_path", False) and sys.path and sys.path[0] in ("", os.getcwd()):
    here = sys.path.pop(0)
    if Path(__file__).parents[1] == Path.cwd():
        sys.path.append(here)

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
