"""The drawing page: one HTML file that reads digits as they are drawn, in any browser, without a network."""

from numnist.interop.page.write import write_page

__all__ = ["write_page"]
