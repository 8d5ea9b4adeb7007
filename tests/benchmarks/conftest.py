import pytest

from tests.forks import loaded_context, loaded_workers


@pytest.fixture
def loaded_processes():
    """Return a stand-in for `get_context` whose processes have loaded torch; workers of Dask have, too."""
    with loaded_workers():
        yield lambda kind: loaded_context()
