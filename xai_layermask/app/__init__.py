"""The playground: remove parts of a photograph in the browser, and see what a network predicts under each masking.

A small web server on this machine. `network` asks the models, `pictures` reads what is uploaded, `session` keeps users
apart, `jobs` bounds the work, `guard` refuses foreign pages, and `server` connects them. The files of the page are in
`xai_layermask/data/templates`.
"""

from __future__ import annotations

from .network import COMPARED, Network
from .pictures import EXAMPLES, Limits
from .playground import Choices, Playground
from .routes import application
from .server import Server

__all__ = ["COMPARED", "EXAMPLES", "Choices", "Limits", "Network", "Playground", "Server", "application"]
