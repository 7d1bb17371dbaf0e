"""Sockets, addresses, monitors and wake-ups; no idea what a message means."""
