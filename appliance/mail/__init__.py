"""Octets ⇄ meaning; no I/O.

Whatever octets come in, a usable value comes out: nothing in here raises on the
content of a message, recurses on its nesting, or takes more than linear time.
Offsets always point into the octets as they came.
"""
