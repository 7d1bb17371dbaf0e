"""Proxies, leases, access and errors: what a message means; no sockets here."""
