"""Write-ahead log, vote and snapshots on disk; the only caller of the file system."""
