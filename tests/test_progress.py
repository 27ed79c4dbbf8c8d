"""Progress bars warn nobody, in a notebook or out of it."""

from __future__ import annotations

import subprocess
import sys

# What tqdm asks to find out whether it is in a notebook, and an environment without ipywidgets.
NOTEBOOK = """
import sys, types
kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: kernel)
for name in ("ipywidgets", "IPython.display", "IPython.html"):
    sys.modules[name] = None
from xai_layermask.progress import progress_bar
with progress_bar(3, "explaining") as bar:
    bar.update(3)
assert not type(bar).__module__.endswith("notebook")
"""


def test_without_ipywidgets_a_notebook_gets_text_and_no_warning():
    found = subprocess.run(
        [sys.executable, "-W", "error::Warning:__main__", "-c", NOTEBOOK], capture_output=True, text=True, check=True
    )
    assert "explaining:   0%" in found.stderr
    assert "Warning" not in found.stderr
