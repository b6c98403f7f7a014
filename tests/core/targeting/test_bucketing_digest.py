"""A subject as the ledger keeps it."""

from valuecanvas.core.targeting.bucketing import digest


def test_digest__of_a_subject__is_the_same_for_ever() -> None:
    assert digest("user-1") == -4124582693711379022
    assert digest("user-1") != digest("user-2")


def test_digest__of_many__fits_a_bigint_and_tells_them_apart() -> None:
    found = {digest(f"user-{number}") for number in range(10_000)}
    assert len(found) == 10_000
    assert all(-(2**63) <= one < 2**63 for one in found)
    assert min(found) < 0 < max(found)


def test_digest__odd_texts__are_taken() -> None:
    assert digest("") != digest("\ud800")
