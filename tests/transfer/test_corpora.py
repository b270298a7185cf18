"""Real mbox files: every message with the digest it is known to have."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from appliance.mail.types import digest_of
from appliance.store import Archive
from appliance.transfer import import_paths
from appliance.transfer.mbox import read_mbox


@pytest.mark.corpora
@pytest.mark.parametrize("name", ["ham-lists", "ham-html-newsletters", "spam"])
def test_every_message_of_the_bulk_corpus_has_its_digest(
    corpora: Path, tmp_path: Path, name: str
) -> None:
    folder = corpora / "bulk" / "spamassassin-corpus"
    with gzip.open(folder / f"{name}.mbox.gz") as packed, (tmp_path / "box").open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    lines = (folder / f"{name}.manifest.tsv").read_text().splitlines()[1:]
    known = [line.split("\t")[1] for line in lines]
    assert [digest_of(m.octets).hex() for m in read_mbox(tmp_path / "box")] == known


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("mimekit/mbox__content-length.mbox.txt.mbox", 29),
        ("mimekit/mbox__simple.mbox.txt.mbox", 3),
        ("mimekit/mbox__unmunged.mbox.txt.mbox", 2),
        ("mimekit/mbox__issue1189.mbox.txt.mbox", 4),
        ("laminas-mail/test.mbox__INBOX.mbox", 7),
        ("laminas-mail/test.mbox__INBOX.unix.mbox", 7),
    ],
)
def test_mboxes_of_other_programs(corpora: Path, name: str, messages: int) -> None:
    found = list(read_mbox(corpora / "torture" / name))
    assert len(found) == messages
    assert all(len(message.octets) for message in found)


@pytest.mark.corpora
def test_a_tree_of_real_messages_comes_in_whole(corpora: Path, tmp_path: Path) -> None:
    tree = corpora / "torture" / "mimekit"
    files = sorted(tree.glob("*.eml"))
    with Archive(tmp_path / "archive") as archive:
        archive.provision("anna")
        result = import_paths(files, archive, "anna", "Torture")
        assert result.found == len(files)
        empty = {str(path) for path in files if path.stat().st_size == 0}
        assert {path for path, _ in result.failed} == empty
        for path in set(map(str, files)) - empty:
            octets = Path(path).read_bytes()
            seq = archive.of_digest(digest_of(octets))
            assert seq is not None
            assert archive.octets(seq) == octets
        assert import_paths(files, archive, "anna", "Torture").admitted == 0
