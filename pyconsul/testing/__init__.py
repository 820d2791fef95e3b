"""What other projects' tests (and ours) use to run pyconsul."""
