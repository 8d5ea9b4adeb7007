"""Which background is enclosed by which object, from what touches what alone: no pixels.

A page is a map of countries: its connected parts of objects and of background. What lies outside of the page
is one more country. An object encloses all that cannot be reached from outside without crossing the object.
If several objects enclose a part, one inside the other, the innermost owns it.

In terms of graphs: object A encloses part B if A *dominates* B in the graph of neighbours, seen from
outside. In an undirected graph, the nearest dominator of a node is the top of its block (biconnected
component) in a depth-first search (Hopcroft and Tarjan 1973, doi:10.1145/362248.362272).
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from unet2015.objects.runs import each_once

Numbers = NDArray[np.int64]


def owners(is_object: NDArray[np.bool_], outer: NDArray[np.bool_], touching: Numbers) -> Numbers:
    """Return the innermost object that encloses each part.

    Parameters
    ----------
    is_object : ndarray of bool, shape (n,)
        Whether a part is an object; the others are background.
    outer : ndarray of bool, shape (n,)
        Whether it touches the border of the page.
    touching : ndarray of int64, shape (m, 2)
        Pairs of parts of which pixels share an edge; each pair once or more, in any order.

    Returns
    -------
    ndarray of int64, shape (n,)
        The number of the object; -1 if no object encloses the part.
    """
    outside = len(is_object)
    border = np.flatnonzero(outer)
    pairs = np.concatenate([touching, np.stack([border, np.full_like(border, outside)], axis=1)])
    above, rest = _without_leaves(_each_once(pairs, outside + 1), outside)
    _search(above, rest, outside)
    # The nearest dominator may be background (of a cell in a pocket): go up to an object or the outside.
    solid = np.append(is_object, True)
    while (hollow := ~solid[above]).any():
        above[hollow] = above[above[hollow]]
    return np.where(above == outside, -1, above)[:outside]


def _each_once(pairs: Numbers, nodes: int) -> Numbers:
    low, high = pairs.min(axis=1, initial=nodes), pairs.max(axis=1, initial=0)
    codes = each_once(low * nodes + high)
    return np.stack(np.divmod(codes, nodes), axis=1)


def _without_leaves(pairs: Numbers, outside: int) -> tuple[Numbers, Numbers]:
    """Take off nodes with one neighbour, again and again: that neighbour is their nearest dominator.

    Most objects lie by themselves in one background. So after a few rounds hardly anything is left.
    """
    above = np.full(outside + 1, outside, np.int64)
    while len(pairs):
        degree = np.bincount(pairs.ravel(), minlength=outside + 1)
        degree[outside] = 0  # never taken off
        leaf = degree[pairs] == 1
        some = leaf.any(axis=1)
        if not some.any():
            break
        # Two leaves that touch only each other would have no way out; so one of a pair at most is a leaf.
        cut, sides = pairs[some], leaf[some]
        above[np.where(sides[:, 0], cut[:, 0], cut[:, 1])] = np.where(sides[:, 0], cut[:, 1], cut[:, 0])
        pairs = pairs[~some]
    return above, pairs


def _search(above: Numbers, pairs: Numbers, outside: int) -> None:
    """Find the nearest dominator of each node in `pairs` by a depth-first search from outside.

    In noise most parts are such nodes, so all is kept in flat arrays: lists of each took three times more.
    """
    nodes = np.unique(pairs)
    count = len(nodes)
    if not count or nodes[-1] != outside:  # it has the highest number
        return
    ends, neighbours = _neighbours(np.searchsorted(nodes, pairs), count)
    # When a node was met first, and the earliest node that can be reached below it without its own edge up.
    met, low, parent = (array("i", [-1]) * count for _ in range(3))
    at, order = array("i", [0]) + ends[:-1], array("i", [count - 1])
    node = count - 1
    met[node] = low[node] = 0
    while node >= 0:
        for place in range(at[node], ends[node]):
            other = neighbours[place]
            if met[other] < 0:
                met[other] = low[other] = len(order)
                order.append(other)
                at[node], parent[other] = place + 1, node
                node = other
                break
            if other != parent[node] and met[other] < low[node]:
                low[node] = met[other]
        else:
            node, done = parent[node], node
            if node >= 0 and low[done] < low[node]:
                low[node] = low[done]
    for one in order[1:]:  # from the top
        up = parent[one]
        above[nodes[one]] = nodes[up] if low[one] >= met[up] else above[nodes[up]]


def _neighbours(pairs: NDArray[np.integer], count: int) -> tuple["array[int]", "array[int]"]:
    """Return where the neighbours of each of the nodes 0 to `count` - 1 end in a list, and this list."""
    from scipy import sparse  # what finds no objects does not wait for it

    one, other = pairs.T.astype(np.int32)
    each = np.ones(2 * len(pairs), bool)
    found = sparse.csr_array((each, (np.append(one, other), np.append(other, one))), (count, count))
    ends, others = (numbers.astype(np.int32).tobytes() for numbers in (found.indptr[1:], found.indices))
    return array("i", ends), array("i", others)
