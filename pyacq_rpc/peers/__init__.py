"""Clients, servers, futures and leases at work; not how a server's loop runs."""
