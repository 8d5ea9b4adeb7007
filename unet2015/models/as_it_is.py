"""A model in memory may not be what its file holds: it is checked, and known by a digest of its own."""

from dataclasses import replace

import torch

from unet2015.errors import ModelError, SettingsError
from unet2015.models.model_file import Model, read_model_file, text_of
from unet2015.models.tensors import digest_of_tensors
from unet2015.settings.reading import checked_again


def as_it_is(model: Model) -> Model:
    """Return a model with the SHA-256 and the path of its file only where it still is what the file holds.

    Otherwise (weights or description were changed, the file was, or there is none) it has no path, and its
    SHA-256 is that of its weights and its description: another for each model.

    Parameters
    ----------
    model : Model
        As the caller has it.

    Raises
    ------
    ModelError
        As `checked_model`.
    """
    model = checked_model(model)
    if model.path is not None:
        try:
            own = read_model_file(model.path)
        except ModelError:
            own = None
        if own is not None and own.sha256 == model.sha256 and _same(own, model):
            return model
    weights = {name: tensor.detach().cpu() for name, tensor in model.network.state_dict().items()}
    return replace(model, sha256=digest_of_tensors(weights, text_of(model.info)), path=None)


def checked_model(model: Model) -> Model:
    """Return a model of a caller, whose description is checked again: pydantic's `model_copy` does not.

    Raises
    ------
    ModelError
        It was changed to what it cannot be.
    """
    try:
        info = checked_again(model.info, "the description of the model")
    except SettingsError as error:
        raise ModelError(str(error)) from error
    return model if info == model.info else replace(model, info=info)


def _same(one: Model, other: Model) -> bool:
    weights = other.network.state_dict()
    return (
        one.info == other.info
        and one.network.state_dict().keys() == weights.keys()
        and all(torch.equal(tensor, weights[name].cpu()) for name, tensor in one.network.state_dict().items())
    )
