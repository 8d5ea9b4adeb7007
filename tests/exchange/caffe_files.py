"""Caffe models of small networks, encoded by protobuf itself with the field numbers of ``caffe.proto``."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from unet2015.exchange.caffe.release import release_layers

NUMBERS, TEXT, WHOLE, FLOAT = ("repeated", "float"), "string", "uint32", "float"
CONVOLUTION = {"num_output": (1, WHOLE), "pad": (3, "many"), "kernel_size": (4, "many"), "group": (5, WHOLE)}
CONVOLUTION |= {"stride": (6, "many"), "dilation": (18, "many")}
SCHEMA = {
    "Shape": {"dim": (1, "packed")},
    "Blob": {
        "num": (1, WHOLE),
        "channels": (2, WHOLE),
        "height": (3, WHOLE),
        "width": (4, WHOLE),
        "data": (5, "floats"),
        "shape": (7, "Shape"),
    },
    "Convolution": CONVOLUTION,
    "Pooling": {"pool": (1, WHOLE), "kernel_size": (2, WHOLE), "stride": (3, WHOLE), "pad": (4, WHOLE)},
    "Relu": {"negative_slope": (1, FLOAT)},
    "Transform": {"scale": (1, FLOAT), "mean_file": (4, TEXT), "mean_value": (5, "singles")},
    "Data": {"source": (1, TEXT), "scale": (2, FLOAT), "mean_file": (3, TEXT)},
    "Cropping": {"axis": (1, WHOLE), "offset": (2, "many")},
    "V1": {
        "bottom": (2, "texts"),
        "top": (3, "texts"),
        "name": (4, TEXT),
        "type": (5, WHOLE),
        "blobs": (6, "Blobs"),
        "convolution": (10, "Convolution"),
        "pooling": (19, "Pooling"),
        "relu": (30, "Relu"),
        "transform": (36, "Transform"),
        "image_data": (15, "Data"),
    },
    "Layer": {
        "name": (1, TEXT),
        "type": (2, TEXT),
        "bottom": (3, "texts"),
        "top": (4, "texts"),
        "blobs": (7, "Blobs"),
        "convolution": (106, "Convolution"),
        "pooling": (121, "Pooling"),
        "relu": (123, "Relu"),
        "transform": (100, "Transform"),
        "image_data": (115, "Data"),
        "crop": (144, "Cropping"),
    },
    "Net": {"name": (1, TEXT), "layers": (2, "V1s"), "layer": (100, "Layers")},
}
TYPES = {"Concat": 3, "Convolution": 4, "Deconvolution": 39, "Pooling": 17, "ReLU": 18, "Crop": 99}
TYPES |= {"Data": 5, "ImageData": 12, "MemoryData": 29}
TYPES |= {"HDF5Data": 9, "SoftmaxWithLoss": 21, "Softmax": 20, "Split": 22, "Dropout": 6}


def _messages():
    file = descriptor_pb2.FileDescriptorProto(name="caffe_test.proto", package="caffe_test", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    plain = {TEXT: kinds.TYPE_STRING, WHOLE: kinds.TYPE_UINT32, FLOAT: kinds.TYPE_FLOAT}
    many = {
        "texts": kinds.TYPE_STRING,
        "many": kinds.TYPE_UINT32,
        "packed": kinds.TYPE_INT64,
        "floats": kinds.TYPE_FLOAT,
        "singles": kinds.TYPE_FLOAT,
    }
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number, label=kinds.LABEL_OPTIONAL)
            if kind in plain:
                field.type = plain[kind]
            elif kind in many:
                field.type, field.label = many[kind], kinds.LABEL_REPEATED
                field.options.packed = kind in ("packed", "floats")
            else:
                field.type = kinds.TYPE_MESSAGE
                single = kind.removesuffix("s")
                field.type_name = f".caffe_test.{single}"
                field.label = kinds.LABEL_OPTIONAL if single == kind else kinds.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe_test.{name}"))
        for name in SCHEMA
    }


MESSAGES = _messages()


def layers_of(network):
    """Yield the layers of a `UNet` of the variant release as dictionaries, in the order of the release."""
    weights = network.state_dict()
    depth = network.depth
    for wanted in release_layers(depth):
        part, *numbers = wanted.ours.split(".")
        level = int(numbers[0]) if numbers else 0
        source, target = wanted.caffe.replace("upconv_", "").replace("conv_", "").replace("_", "-").split("-")
        bottom, top = source, target if part in ("upsample", "head") else source[:2] + target
        if part == "contract" and numbers[1] == "0" and level:
            above, here = f"d{level - 1}c", f"d{level}a"
            yield {
                "name": f"pool_{above}-{level}a",
                "type": "Pooling",
                "bottom": [above],
                "top": [here],
                "pooling": {"kernel_size": 2, "stride": 2},
            }
        if part == "expand" and numbers[1] == "0":
            yield {
                "name": f"crop_d{level}c",
                "type": "Crop",
                "bottom": [f"d{level}c", f"u{level}a"],
                "top": [f"d{level}cc"],
            }
            yield {
                "name": f"concat_u{level}",
                "type": "Concat",
                "bottom": [f"u{level}a", f"d{level}cc"],
                "top": [bottom],
            }
        size, stride = {"upsample": (2, 2), "head": (1, 1)}.get(part, (3, 1))
        weight, bias = (weights[f"{wanted.ours}.{name}"].numpy() for name in ("weight", "bias"))
        yield {
            "name": wanted.caffe,
            "type": wanted.type,
            "bottom": [bottom],
            "top": [top],
            "blobs": [weight, bias],
            "convolution": {"num_output": len(bias), "pad": [0], "kernel_size": [size], "stride": [stride]},
        }
        if part != "head":
            yield {"name": f"relu_{top}", "type": "ReLU", "bottom": [top], "top": [top], "relu": {}}


def encoded(layers, form="Layer", legacy=False):
    """Return the bytes of a network of such layers.

    `form` is V1 for layers as Caffe had them first; with `legacy`, blobs have four lengths.
    """
    net = MESSAGES["Net"](name="phseg_test")
    for layer in layers:
        made = (net.layers if form == "V1" else net.layer).add()
        made.name = layer["name"]
        made.type = TYPES[layer["type"]] if form == "V1" else layer["type"]
        made.bottom.extend(layer["bottom"])
        made.top.extend(layer["top"])
        for blob in layer.get("blobs", ()):
            _blob(made.blobs.add(), blob, legacy)
        for part in ("convolution", "pooling", "relu", "transform", "image_data", "crop"):
            if part in layer:
                getattr(made, part).SetInParent()
            for name, value in layer.get(part, {}).items():
                if isinstance(value, list):
                    getattr(getattr(made, part), name).extend(value)
                else:
                    setattr(getattr(made, part), name, value)
    return net.SerializeToString()


def _blob(made, values, legacy):
    made.data.extend(values.ravel().tolist())
    if not legacy:
        made.shape.dim.extend(values.shape)
        return
    four = (1,) * (4 - values.ndim) + values.shape
    for name, length in zip(("num", "channels", "height", "width"), four, strict=True):
        setattr(made, name, length)
