"""A QR code of a link as inline SVG, free of style attributes so that a strict content policy accepts it."""

from functools import lru_cache
from typing import Final

import segno
from markupsafe import Markup

# Readers want four light modules around the code; a tile with padding would shrink on paper, a border does not.
QUIET_ZONE: Final = 4
# Weighing all eight masks for each code took half of the time of a page. Readers take any of them; over 200 links to
# pages this one was 2 % from the best on average, 16 % at worst, by the standard's own measure.
MASK: Final = 2
# A page that waits is looked at again and again.
REMEMBERED: Final = 1024


@lru_cache(maxsize=REMEMBERED)
def qr_svg(link: str) -> Markup:
    """The code as one `<svg>` element without a size: the style sheet decides how large it is.

    It is hidden from screen readers; the caller names it in words.
    """
    code = segno.make_qr(link, error="m", boost_error=False, mask=MASK)
    svg = code.svg_inline(border=QUIET_ZONE, omitsize=True, svgclass="qr", lineclass=None)
    hidden = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return Markup(hidden)  # noqa: S704  Numbers only: the link is drawn, never written.
