"""Bytes and texts to records and back; no IO."""
