"""What repeats is told once."""

import time
from decimal import Decimal

from server.fhir.elements import once


def test_of_equal_values_the_first_stays_whatever_the_order_of_their_members() -> None:
    said = [{"a": 1, "b": [Decimal("1.50")]}, {"a": 2}, {"b": [Decimal("1.50")], "a": 1}, "x", "x"]
    assert once(said) == [said[0], said[1], "x"]


def test_many_papers_of_a_case_are_not_compared_each_with_each() -> None:
    """A client may attach ten thousand with each call, and a reviewer opens the page."""
    papers = [{"resourceType": "DocumentReference", "id": str(number)} for number in range(8_000)]
    began = time.process_time()

    assert once(papers) == papers
    assert time.process_time() - began < 0.5
