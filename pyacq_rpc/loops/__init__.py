"""The ways in which a server can be run."""
