"""The receiver in the real house: household and archive, octets in, octets out."""

from __future__ import annotations

import smtplib
from pathlib import Path

from appliance.config import Config
from appliance.household import Household, Scrypt
from appliance.mail.types import Seq
from appliance.smtp.receive import Receiver
from appliance.store import Archive
from tests.smtp.conftest import LIMIT, content

MESSAGE = b"From: Carl <carl@example.net>\r\nSubject: hello\r\n\r\nDear Anna,\r\n.dot\r\n"


def test_mail_for_people_of_the_house_is_in_their_inbox_when_250_is_said(tmp_path: Path) -> None:
    config = Config(data=tmp_path, smtp_port=0, message_limit_octets=LIMIT)
    config.prepare()
    with (
        Household(tmp_path, cost=Scrypt(log_n=4)) as household,
        Archive(config.archive) as archive,
        Receiver(archive, household, config, config.spool) as receiver,
        smtplib.SMTP(*receiver.address, timeout=20) as sender,
    ):
        for name in ("anna", "ben"):
            household.add_person(name, "a long password")
            archive.provision(name)
        household.add_address("anna", "anna.berg@example.org")
        everybody = ["anna.berg@example.org", "ben+list@hauspost.local", "carl@hauspost.local"]
        refused = sender.sendmail("carl@example.net", everybody, MESSAGE)
        assert list(refused) == ["carl@hauspost.local"]
        large = b"Subject: large\r\n\r\n" + b"z" * (3 << 20) + b"\r\n"
        assert sender.sendmail("", ["postmaster"], large) == {}

        kept = {}
        for name in ("anna", "ben"):
            snapshot = archive.snapshot(archive.mailbox(name, "INBOX").id)
            kept[name] = [content(archive.octets(Seq(seq))) for seq in snapshot.seqs]
        assert kept == {"anna": [MESSAGE, large], "ben": [MESSAGE]}
        assert archive.totals().messages == 2
        assert not archive.verify(deep=True).damaged
