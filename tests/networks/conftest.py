import pytest

from tests.networks.others import registered


@pytest.fixture(scope="module")
def others():
    """Two networks more in the table, for the tests of one file."""
    with registered():
        yield
