"""SeqSet against Python's own sets."""

from __future__ import annotations

import random
import time

import pytest

from index import SeqSet


def some(rng: random.Random) -> set[int]:
    if rng.random() < 0.3:
        start = rng.randrange(50)
        return set(range(start, start + rng.randrange(60)))
    return set(rng.sample(range(100 if rng.random() < 0.8 else 5000), rng.randrange(60)))


def test_it_does_what_sets_do() -> None:
    rng = random.Random(1)
    for _ in range(1500):
        one, other = some(rng), some(rng)
        a, b = SeqSet.from_iterable(one), SeqSet.from_iterable(other)
        assert list(a & b) == sorted(one & other)
        assert list(a | b) == sorted(one | other)
        assert list(a - b) == sorted(one - other)
        assert len(a) == len(one)
        assert bool(a) == bool(one)
        assert all((seq in a) == (seq in one) for seq in range(120))
        low, high = sorted((rng.randrange(120), rng.randrange(120)))
        assert list(a.between(low, high)) == sorted(s for s in one if low <= s < high)
        assert list(a[low:high]) == sorted(one)[low:high]
        assert list(reversed(a)) == sorted(one, reverse=True)
        assert (a == b) == (one == other)
        if a == b:
            assert hash(a) == hash(b)


def test_places_count_from_both_ends() -> None:
    seqs = SeqSet.from_iterable([5, 3, 9, 3])
    assert (seqs[0], seqs[-1]) == (3, 9)
    assert "x" not in seqs
    with pytest.raises(IndexError):
        seqs[3]
    with pytest.raises(ValueError, match="forwards"):
        seqs[::-1]


@pytest.mark.parametrize("seqs", [[2, 1], [1, 1], [5, 6, 6]])
def test_what_does_not_ascend_is_refused(seqs: list[int]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        SeqSet.from_sorted(seqs)
    assert list(SeqSet.from_sorted([1, 4, 9])) == [1, 4, 9]


def test_half_a_million_are_handled_at_once() -> None:
    many = SeqSet.from_iterable(range(1, 500_001))
    holes = SeqSet.from_iterable(range(1, 500_001, 3))
    start = time.process_time()
    assert len(many & holes) == 166_667
    assert len(many - holes) == 333_333
    assert len(many | holes) == 500_000
    assert len(many - SeqSet.from_iterable([7])) == 499_999
    assert time.process_time() - start < 2
