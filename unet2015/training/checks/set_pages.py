"""The pages of a set: what is known of each, and where its pixels are read again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from unet2015.images.image import Image
from unet2015.training.checks.copied_pages import PageFacts
from unet2015.training.checks.landmarks import Landmarks
from unet2015.training.checks.page_marks import PageMarks
from unet2015.training.checks.rescaled import PageSample, Sites


@dataclass(frozen=True)
class SetPages:
    """The pages of a whole set, in their order; of pages of one value nothing is known but the place.

    Attributes
    ----------
    facts : sequence of PageFacts
        Of each page.
    images : sequence of Image
        Those of the set; read again where pages seem to share pixels.
    """

    facts: Sequence[PageFacts]
    images: Sequence[Image]

    @cached_property
    def sites(self) -> Sites:
        """Where to read each page."""
        return [(image, page) for image in self.images for page in range(image.pages)]

    @cached_property
    def samples(self) -> Sequence[PageSample | None]:
        """As `rescaled` takes them."""
        return [marks and marks.sample for marks in self._marks]

    @cached_property
    def landmarks(self) -> Sequence[Landmarks | None]:
        """As `overlaps` takes them, for pages of one type."""
        return [marks and marks.landmarks for marks in self._marks]

    @cached_property
    def orders(self) -> Sequence[Landmarks | None]:
        """As `overlaps` takes them, for pages of other types."""
        return [marks and marks.order for marks in self._marks]

    @property
    def _marks(self) -> list[PageMarks | None]:
        return [page.marks for page in self.facts]
