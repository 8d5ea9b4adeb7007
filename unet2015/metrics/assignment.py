"""The best one-to-one assignment of a sparse graph: what is clear is taken, the rest goes piece by piece."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def best_assignment(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return which edges to take so that no row or column is taken twice and the sum of weights is highest.

    Parameters
    ----------
    rows, columns : (K,) int64 arrays
        The ends of each edge; no edge comes twice.
    weights : (K,) float64 array
        Above 0.

    Returns
    -------
    (M,) int64 array
        Indices of edges, rising.

    Notes
    -----
    An edge that weighs at least as much as the heaviest others at its two ends together is in a best
    assignment: it could take their place in any. Such edges are taken, again and again; each piece of what
    is left is solved as a dense assignment. SciPy's own matching of sparse graphs
    (``min_weight_full_bipartite_matching`` of 1.17) does not end on some of these weights.
    """
    taken = [np.zeros(0, np.int64)]
    left = np.arange(len(rows))
    while len(left):
        ends, values = (rows[left], columns[left]), weights[left]
        clear = left[values >= _next_best(ends[0], values) + _next_best(ends[1], values)]
        if not len(clear):
            break
        for side in (columns, rows):  # two clear edges at one end weigh the same
            clear = clear[np.unique(side[clear], return_index=True)[1]]
        taken.append(clear)
        free = ~np.isin(rows[left], rows[clear]) & ~np.isin(columns[left], columns[clear])
        left = left[free]
    taken += [
        edges[_dense(rows[edges], columns[edges], weights[edges])] for edges in _pieces(rows, columns, left)
    ]
    return np.sort(np.concatenate(taken))


def _next_best(nodes: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each edge the highest weight of the others at its node, 0 where there is none."""
    order = np.lexsort((-weights, nodes))
    first = np.r_[True, nodes[order][1:] != nodes[order][:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    second = np.r_[np.where(first[1:], 0.0, weights[order][1:]), 0.0]
    found = np.empty_like(weights)
    found[order] = np.where(first, second, weights[order][start])
    return found


def _pieces(
    rows: NDArray[np.int64], columns: NDArray[np.int64], edges: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Return the edges of each connected piece."""
    if not len(edges):
        return []
    _, i = np.unique(rows[edges], return_inverse=True)
    _, j = np.unique(columns[edges], return_inverse=True)
    nodes = i.max() + j.max() + 2
    graph = coo_array((np.ones(len(edges)), (i, i.max() + 1 + j)), shape=(nodes, nodes))
    piece = connected_components(graph, directed=False)[1][i]
    order = np.argsort(piece, kind="stable")
    return [edges[part] for part in np.split(order, np.flatnonzero(np.diff(piece[order])) + 1)]


def _dense(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    _, i = np.unique(rows, return_inverse=True)
    _, j = np.unique(columns, return_inverse=True)
    table = np.zeros((i.max() + 1, j.max() + 1))
    table[i, j] = weights
    partner = np.full(len(table), -1)
    at, to = linear_sum_assignment(table, maximize=True)
    partner[at] = to
    return np.flatnonzero(partner[i] == j)
