"""Models of Caffe: files in protobuf's wire format, read without protobuf, and without running anything.

- `wire`: messages as numbered fields.
- `net`: the layers of a network, with their weights.
- `release`: the network of the authors' release, layer by layer.
"""

from unet2015.exchange.caffe.release import import_caffe

__all__ = ["import_caffe"]
