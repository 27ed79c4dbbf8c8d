"""The engine: run a captured graph on a presence mask.

`graph` captures a model as a graph of ATen operators, `rules` finds the masked form of each operator among `ops`, and a
`program` runs three passes over the graph: presence, demand and values.
"""
