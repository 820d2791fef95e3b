"""Where the cores meet disk and network."""
