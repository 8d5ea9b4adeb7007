import torch

from unet2015.networks.live_values import LiveBytes


def test_live_bytes_are_those_counted_by_hand():
    before = torch.ones(10)
    with LiveBytes() as live:
        first = before * 2  # 40 bytes; those of `before` do not count
        assert live.live == 40
        second = first.to(torch.float64)  # 80 more
        view = second.reshape(2, 5)  # the same bytes
        assert (live.live, live.peak) == (120, 120)
        del second
        assert live.live == 120  # the view holds them
        del view
        first.add_(1)
        assert (live.live, live.peak) == (40, 120)
