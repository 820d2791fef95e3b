"""A whole agent as one process: wiring of all layers, signals, exit codes.

The only place that imports both the API and the agent's configuration.
"""
