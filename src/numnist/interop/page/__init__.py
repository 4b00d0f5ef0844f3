"""The drawing page: one HTML file that reads digits as they are drawn, in any browser, without a network."""

from numnist.interop.page.write import MOST_MODELS, write_page

__all__ = ["MOST_MODELS", "write_page"]
