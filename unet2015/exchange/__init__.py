"""Models out to other programs, and in from them.

The names below load when they are first used.
"""

from typing import TYPE_CHECKING

from unet2015.lazy import lazy_names

if TYPE_CHECKING:
    from unet2015.exchange.export import ExportOptions, ExportReport, export_model

__all__ = ["ExportOptions", "ExportReport", "export_model"]

__getattr__, __dir__ = lazy_names(__name__, {"export": ["ExportOptions", "ExportReport", "export_model"]})
