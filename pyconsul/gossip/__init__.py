"""The Serf-compatible membership core, without IO."""
