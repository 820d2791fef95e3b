"""The web page: built files (``dist``), and how they are served. Sources and build: ``ui/``; docs/design/ui.md."""
