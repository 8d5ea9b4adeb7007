import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from unet2015.metrics.assignment import best_assignment


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
        elements=st.one_of(st.just(0.0), st.sampled_from([0.25, 0.5, 1, 1.5]), st.floats(0.01, 2)),
    )
)
def test_equals_the_dense_assignment(table: np.ndarray) -> None:
    rows, columns = np.nonzero(table)
    chosen = best_assignment(rows, columns, table[rows, columns])
    assert len(set(rows[chosen])) == len(set(columns[chosen])) == len(chosen)
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    assert table[rows[chosen], columns[chosen]].sum() == pytest.approx(best)


def test_what_is_not_clear_is_solved_in_pieces() -> None:
    piece = np.array([[3.0, 2.9, 0], [2.9, 0, 2], [0, 2, 2.5]])  # no edge outweighs its neighbours
    table = np.kron(np.eye(3), piece)
    rows, columns = np.nonzero(table)
    chosen = best_assignment(rows, columns, table[rows, columns])
    assert table[rows[chosen], columns[chosen]].sum() == pytest.approx(3 * (2.9 + 2.9 + 2.5))
