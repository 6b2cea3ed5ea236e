"""Fetching of files from web servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from obstack.errors import Unreachable
from obstack.ports import Reporter

ATTEMPTS: Final = 3
PAUSE_S: Final = 1.0
CONNECT_S: Final = 15.0
SILENCE_S: Final = 60.0
ABSENT: Final = {404, 410}


class WebDownloads:
    """Fetches over HTTP, through the proxy that the environment names. What breaks off is tried again."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def fetch(self, url: str, into: Path, message: str) -> bool:
        """Given an address, write what is there to `into` and return True; False when the server has no such thing.

        Raises Unreachable when the server cannot be reached, refuses or breaks off, after three attempts.
        """
        # Imported when something is really fetched: most runs fetch nothing, and it takes longer than they do.
        import httpx

        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S * attempt)
            try:
                timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
                with httpx.stream("GET", url, follow_redirects=True, timeout=timeout) as response:
                    if response.status_code in ABSENT:
                        return False
                    if response.is_success:
                        total = int(response.headers.get("content-length", 0))
                        with open(into, "wb") as file:
                            for chunk in response.iter_raw():
                                file.write(chunk)
                                self._reporter.progress(message, file.tell(), total)
                        return True
                    problem = f"answered {response.status_code} {response.reason_phrase}"
                    if response.is_client_error:
                        break
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = f"{type(error).__name__}: {error}"
        raise Unreachable(
            code="download-failed",
            what=f"{into.name} could not be fetched.",
            where=f"{url} {problem}",
            state="nothing was changed",
            do="look at the network and at http_proxy/https_proxy, or set artifacts.mirror to a mirror of your own",
        )
