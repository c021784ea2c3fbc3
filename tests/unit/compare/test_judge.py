"""When two results are the same to the app."""

from __future__ import annotations

import math

from shadow.compare import jsonable
from shadow.compare.judge import first_difference, judge, only_in, settle_sums
from shadow.compare.verdict import Reason
from shadow.translate import Order


def test_equal_rows_are_equal_whatever_fixes_their_order() -> None:
    for order in Order:
        assert judge([(1, "a"), (2, None)], [(1, "a"), (2, None)], order, limited=False) is None


def test_type_counts() -> None:
    """1 and 1.0, 0.0 and -0.0, 'a' and b'a' are not the same to an app."""
    for a, b in ((1, 1.0), (0.0, -0.0), ("a", b"a"), ("1", 1), (None, 0)):
        assert judge([(a,)], [(b,)], Order.TOTAL, limited=False) is Reason.ROWS
        assert judge([(a,)], [(b,)], Order.NONE, limited=False) is Reason.ROWS


def test_order_counts_only_where_the_query_fixes_it() -> None:
    assert judge([(1,), (2,)], [(2,), (1,)], Order.NONE, limited=False) is None
    assert judge([(1,), (2,)], [(2,), (1,)], Order.TOTAL, limited=False) is Reason.ORDER


def test_rows_that_occur_several_times_are_counted() -> None:
    assert judge([(1,), (1,), (2,)], [(1,), (2,), (2,)], Order.NONE, limited=False) is Reason.ROWS


def test_another_number_of_rows_is_a_mismatch_even_where_a_limit_leaves_the_rows_open() -> None:
    assert judge([(1,)], [], Order.NONE, limited=True) is Reason.ROW_COUNT
    assert judge([(1,)], [(2,)], Order.NONE, limited=True) is Reason.ORDER_NOT_FIXED
    assert judge([(1,)], [(2,)], Order.TOTAL, limited=True) is Reason.ROWS


def test_sort_keys_are_compared_in_their_order_where_ties_are_open() -> None:
    """Rows of one key may change places, keys may not."""
    origin = [("a", 1), ("a", 2), ("b", 3)]
    ties = [("a", 2), ("a", 1), ("b", 3)]
    wrong = [("b", 3), ("a", 1), ("a", 2)]
    assert judge(origin, ties, Order.PARTIAL, limited=False, keys=(0,)) is None
    assert judge(origin, wrong, Order.PARTIAL, limited=False, keys=(0,)) is Reason.ORDER
    assert judge(origin, wrong, Order.PARTIAL, limited=False) is None


def test_what_only_one_side_has_is_shown() -> None:
    origin, target = [(1,), (2,), (2,)], [(1,), (2,), (3,)]
    assert first_difference(origin, target) == 2
    assert only_in(origin, target, 10) == [(2,)]
    assert only_in(target, origin, 10) == [(3,)]


def test_results_are_shown_as_json_that_loses_nothing_that_tells_values_apart() -> None:
    assert jsonable.row((1, 1.0, 1.5, None, "x", b"\x00", 2**60, math.inf)) == [
        1,
        {"float": "1.0"},
        1.5,
        None,
        "x",
        {"b64": "AA=="},
        {"int": str(2**60)},
        {"float": "inf"},
    ]
    assert jsonable.value("nul \0 and \udc80") == {"text": "nul \\0 and \\udc80", "escaped": True}
    assert jsonable.value("x" * 3_000) == {"text": "x" * 2_000, "length": 3_000}
    assert jsonable.params({"a": b""}) == {"a": {"b64": ""}}


def test_sums_of_reals_that_differ_in_their_last_digits_are_settled_row_by_row() -> None:
    origin = [("a", 1, 0.1 + 0.2), ("b", 2, 5.0), ("b", 2, None)]
    target = [("b", 2, 5.000000000000001), ("a", 1, 0.3), ("b", 2, None)]
    assert settle_sums(origin, target) == [("b", 2, 5.0), ("a", 1, 0.1 + 0.2), ("b", 2, None)]


def test_a_sum_that_is_really_another_is_not_settled() -> None:
    target = [("a", 0.3001), ("b", 1), ("c", 1.0)]
    assert settle_sums([("a", 0.3), ("b", 1.0), ("d", 1.0)], target) == target
