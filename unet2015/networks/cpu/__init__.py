"""The paper's network on a CPU: row strips, ring buffers, packed weights, Winograd; proved equal to torch.

From the lowest file up: :mod:`winograd_weights`, :mod:`winograd` and :mod:`packed_weights` (convolutions),
:mod:`winograd_layers` (which layers use Winograd), :mod:`layers` (all convolutions of a network),
:mod:`up_convolutions`, :mod:`maxima` (poolings), :mod:`strip_schedule` and :mod:`ring_buffer` (which rows are
computed when, and where they are held), :mod:`row_blocks` (how many at a time), :mod:`strip_pass` (one
image), :mod:`row_strips` (the network), :mod:`memory` (what it needs).
"""
