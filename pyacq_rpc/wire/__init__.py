"""Messages and values to frames and back; no sockets, no threads, no clock."""
