"""Random histories of a maildrop, and kills in the middle of a run.

Mail arrives, vanishes, is renumbered; the server fails in every way it can. Always:
what the server holds at the end of a good run is in the archive octet for octet,
nothing that was ever admitted is lost, uids ascend, and a second run admits nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from appliance.mail.types import Delivery, Receipt
from appliance.store import Archive
from tests.fetch.world import World, letter

STEPS = 25


def _step(world: World, chance: random.Random, number: int) -> None:
    inbox, faults = world.maildrop.inbox, world.faults
    uids = [one.uid for one in inbox.held]
    match chance.choice(["arrive", "arrive", "arrive", "vanish", "renumber", "cut", "fetch"]):
        case "arrive":
            for copy in range(chance.randint(1, 8)):
                inbox.arrive(letter(number * 10 + copy, chance.choice((200, 1000, 20_000))))
        case "vanish" if uids:
            inbox.vanish(chance.choice(uids))
        case "renumber" if chance.random() < 0.3:
            inbox.renumber()
        case "cut" if uids:
            faults.cut[chance.choice(uids)] = chance.randint(1, 3)
        case _:
            _misbehave(world, chance)
            before = world.kept_anywhere()
            world.fetch()
            assert before <= world.kept_anywhere()
            _behave(world)


def _misbehave(world: World, chance: random.Random) -> None:
    faults, uids = world.faults, [one.uid for one in world.maildrop.inbox.held]
    some = set(chance.sample(uids, min(len(uids), 2)))
    match chance.randrange(7):
        case 0:
            faults.truncate_search = chance.randint(0, 5)
        case 1:
            faults.refuse_message |= some
        case 2:
            faults.empty |= some
        case 3:
            faults.hide |= some
        case 4:
            faults.busy = "[IN-USE] busy"
        case 5:
            faults.cut_after_octets = chance.randint(1000, 30_000)
        case _:
            faults.size_lies = {uid: chance.randint(1, 10**7) for uid in some}


def _behave(world: World) -> None:
    faults = world.faults
    faults.truncate_search = faults.busy = faults.cut_after_octets = None
    for switched in (faults.refuse_message, faults.empty, faults.hide):
        switched.clear()
    faults.size_lies.clear()
    faults.cut.clear()
    for failure in world.archive.failures("home"):
        world.archive.clear_failure(failure.origin)  # as if its time had come


@pytest.mark.parametrize("seed", range(5))
def test_no_history_loses_a_message_or_stores_one_twice(world: World, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(STEPS):
        _step(world, chance, number)
    _behave(world)

    last, again = world.fetch(), world.fetch()

    assert (last.error, last.failed) == (None, ())
    assert (again.error, again.admitted, again.octets) == (None, 0, 0)
    assert set(world.messages()) <= world.kept_anywhere()
    kept = world.kept()
    assert len(kept) == len(set(kept))
    uids = world.archive.snapshot(world.archive.mailbox("anna", "INBOX").id).uids
    assert list(uids) == sorted(set(uids))


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing below runs any more."""


class _Fused(Archive):
    """Dies at its n-th batch: before it, or after it is durable and before anybody knows."""

    fuse = 0
    after = False

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        self.fuse -= 1
        if self.fuse == 0 and not self.after:
            raise Killed
        receipts = super().admit(deliveries)
        if self.fuse == 0:
            raise Killed
        return receipts


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_run_killed_at_any_batch_is_finished_by_the_next(
    world: World, tmp_path: Path, batch: int, after: bool
) -> None:
    # Large ones are a batch each, so there are several batches.
    for number in range(3):
        world.maildrop.inbox.arrive(letter(number * 2, 1_200_000))
        world.maildrop.inbox.arrive(letter(number * 2 + 1))
    fused = _Fused(tmp_path / "archive")
    fused.fuse, fused.after = batch, after
    with fused, pytest.raises(Killed):
        world.fetch(archive=fused)

    run, again = world.fetch(), world.fetch()

    assert run.error is None
    assert (again.admitted, again.octets) == (0, 0)
    assert world.kept() == world.messages()
