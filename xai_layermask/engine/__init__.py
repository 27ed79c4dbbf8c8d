"""The engine: run a captured graph on a presence mask.

`graph` captures a model as a graph of ATen operators, `rules` maps each operator to its masked operator in `ops`,
`program` runs the presence and demand passes, and `executor` the value pass.
"""
