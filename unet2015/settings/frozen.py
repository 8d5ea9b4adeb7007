"""What all settings share, and the ranges of their numbers."""

from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
"""What is left of a float32 above 1e30 is for sums of weights and for losses."""


class Frozen(BaseModel):
    """What all settings share: they cannot change, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is wanted, which pydantic reads as 1 and 0."""
        if isinstance(value, bool) and info.field_name is not None:
            wanted = cls.model_fields[info.field_name].annotation
            kinds = {wanted, *get_args(wanted)}
            if kinds & {int, float} and bool not in kinds:
                raise ValueError(f"expected a number, got {str(value).lower()}")
        return value


class Growing(Frozen):
    """Settings that have grown: a setting of a later version is left out of files where it changes nothing.

    So older versions read such files, and files of older versions stay as they were.
    """

    later: ClassVar[tuple[str, ...]] = ()
    """The settings of later versions."""

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        for name in self.later:
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name, None)
        return self._written(values)

    def _written(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what is written of values; some settings leave out more."""
        return values
