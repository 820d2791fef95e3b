"""pyconsul: a coordination server that speaks Consul's protocols."""
