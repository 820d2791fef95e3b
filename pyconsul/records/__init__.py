"""What is stored: keys, sessions, nodes, services, checks, as plain data."""
