"""`bench data`: from folders of media, as users have them, to prepared suites."""

from __future__ import annotations

import click

EPILOG = """\b
Examples
  bench data list
  bench data prepare fairplay --from /data/FAIR-Play
  bench data check fairplay
  bench run --suite fairplay
"""


@click.group("data", epilog=EPILOG)
def data() -> None:
    """Prepare and check the data of real suites. Media stay where they are; nothing is downloaded or re-encoded."""
