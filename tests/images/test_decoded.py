import numpy as np

from unet2015.images import decoded


def test_what_was_used_last_is_kept_up_to_the_bound_and_one_at_least(monkeypatch):
    monkeypatch.setattr(decoded, "KEPT_BYTES", 20)
    kept, made = decoded.Decoded(), []

    def get(key, size=10):
        assert kept.get(key, lambda: made.append(key) or np.zeros(size, np.uint8)).nbytes == size
        return kept.nbytes

    assert [get(key) for key in "aabacab"] == [10, 10, 20, 20, 20, 20, 20]
    assert made == ["a", "b", "c", "b"]  # b went for c, as a was used since
    assert get("d", 50) == 50
    kept.clear()
    assert (kept.nbytes, get("d", 50)) == (0, 50)
    assert made[-2:] == ["d", "d"]
