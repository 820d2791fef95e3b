"""Frames, connections and datagrams; knows nothing of what messages mean."""
