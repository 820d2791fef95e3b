"""Configuration, logging, local services and life cycle of one agent."""
