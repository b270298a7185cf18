"""SMTP: mail handed to the household, taken only for people who live here.

``receive`` listens; ``session`` is one client's conversation (aiosmtpd with
its DATA replaced); ``dots`` undoes dot-stuffing; ``incoming`` holds a message
while it arrives; ``trace`` writes the fields a final delivery must add.
``250`` after DATA is a promise: it is said when the archive has said so.

It refuses to relay, to sign anybody in, and to hold a large message in memory.
"""
