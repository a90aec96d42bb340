"""The network side: single raw files of a commit, or the archive of the whole commit, into a folder."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx2

from fedrag.core.errors import FedragError, IntegrityError, Unavailable
from fedrag.evaluation.data.origin import archive_name, folder_of, read
from fedrag.evaluation.data.package import Files, Origin, Tree

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

MAXIMUM_ARCHIVE_BYTES: Final = 512 << 20
_READ_TIMEOUT_S: Final = 30.0
_FILE_TIMEOUT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class GitHub:
    """Public repositories over HTTPS. One attempt each: what failed is said, and tried again when a person says so.

    Args:
        raw: base address of single files.
        archives: base address of archives.
        clock: seconds, monotonic.
    """

    client: httpx2.Client
    progress: Progress
    raw: str = "https://raw.githubusercontent.com"
    archives: str = "https://codeload.github.com"
    clock: Callable[[], float] = time.monotonic

    def files(self, origin: Origin, cache: Path) -> Files:
        """The verified files of an origin; those that lie in `cache` and are right are not downloaded again.

        Raises Unavailable(download_failed), IntegrityError(origin_changed, bad_archive).
        """
        folder = cache / origin.repository.replace("/", "+")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return read(origin, folder_of(origin, cache))
        except FedragError:
            self._download(origin, folder)
            return read(origin, folder)

    def _download(self, origin: Origin, folder: Path) -> None:
        if isinstance(origin.content, Tree):
            url = f"{self.archives}/{origin.repository}/tar.gz/{origin.commit}"
            self._get(url, folder / archive_name(origin), MAXIMUM_ARCHIVE_BYTES, origin.repository)
            return
        for raw in origin.content:
            url = f"{self.raw}/{origin.repository}/{origin.commit}/{quote(raw.path)}"
            self._get(url, folder / raw.path, raw.bytes, f"{origin.repository} {raw.path}")

    def _get(self, url: str, target: Path, most_bytes: int, what: str) -> None:
        """Under another name until it is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        began = self.clock()
        try:
            with (
                self.client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
                part.open("wb") as file,
                self.progress(what) as told,
            ):
                if response.status_code != httpx2.codes.OK:
                    raise Unavailable(f"{url} answers {response.status_code}", code="download_failed")
                announced = response.headers.get("content-length", "")
                total = int(announced) if announced.isdecimal() else 0
                got = 0
                for block in response.iter_bytes():
                    got += len(block)
                    if got > most_bytes:
                        raise IntegrityError(f"{url} sends more than {most_bytes} bytes", code="origin_changed")
                    if self.clock() - began > _FILE_TIMEOUT_S:
                        raise Unavailable(f"{url} takes longer than {_FILE_TIMEOUT_S:.0f} s", code="download_failed")
                    file.write(block)
                    told(got, max(total, got))
            part.replace(target)
        except httpx2.HTTPError as error:
            raise Unavailable(f"{url} cannot be had ({type(error).__name__})", code="download_failed") from None
        finally:
            part.unlink(missing_ok=True)


def http_client(proxy: str | None = None) -> httpx2.Client:
    """Ignores proxy variables: a proxy is used only where it is named."""
    return httpx2.Client(trust_env=False, proxy=proxy, timeout=_READ_TIMEOUT_S, follow_redirects=False)
