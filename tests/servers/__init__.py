"""Mail servers for tests: real sockets on loopback, a small maildrop, and faults as switches."""
