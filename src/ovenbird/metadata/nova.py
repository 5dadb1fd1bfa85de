"""A provider that forwards requests to Nova's metadata service.

Headers name the instance, and a signature authenticates them: HMAC-SHA256 of the instance's id with the secret that
both services share (Nova's option `metadata_proxy_shared_secret`). Of the instance's own headers only those in
`FORWARDED` are sent on, so that an instance cannot claim to be another.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

import httpx

from ovenbird.metadata.errors import UpstreamError
from ovenbird.metadata.provider import Response

if TYPE_CHECKING:
    import ssl

    from ovenbird.metadata.instance_lookup import InstancePort
    from ovenbird.metadata.provider import Request

log = logging.getLogger(__name__)

FORWARDED = frozenset((b"accept", b"content-type", b"user-agent"))
"""Headers of the instance's request that are forwarded to Nova."""

TIMEOUT = 30.0
"""Seconds for Nova to answer, which may need requests to other services."""

_POOL = httpx.Limits(max_connections=100, max_keepalive_connections=20)


def sign(secret: str, *, instance: str) -> str:
    """Return the signature of an instance's id, in hexadecimal."""
    return hmac.new(secret.encode(), instance.encode(), "sha256").hexdigest()


class Nova:
    """Nova's metadata service.

    Arguments:
        url: its URL, as in `http://controller:8775`.
        secret: the secret that both services share.
        verify: for https, the certificate authorities to trust; None for the system's.
    """

    def __init__(self, url: str, *, secret: str, verify: ssl.SSLContext | None = None) -> None:
        self._url = httpx.URL(url)
        self._secret = secret
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT, trust_env=False, limits=_POOL, verify=True if verify is None else verify
        )

    async def answer(self, instance: InstancePort, request: Request) -> Response:
        """Forward the request to Nova on behalf of the instance.

        Raises:
            UpstreamError: Nova gives no valid answer in time.
        """
        headers = [(name, value) for name, value in request.headers if name in FORWARDED]
        headers += [
            (b"x-forwarded-for", instance.address.encode()),
            (b"x-instance-id", instance.device.encode()),
            (b"x-tenant-id", instance.project.encode()),
            (b"x-instance-id-signature", sign(self._secret, instance=instance.device).encode()),
        ]
        prefix = self._url.raw_path.rstrip(b"/")
        url = self._url.copy_with(raw_path=prefix + request.target.encode())
        try:
            found = await self._http.request(request.method, url, headers=headers, content=request.body)
        except httpx.TimeoutException as error:
            raise UpstreamError(504, f"{self._url} takes too long: {error!r}") from error
        except httpx.TransportError as error:
            raise UpstreamError(503, f"{self._url} does not answer: {error!r}") from error
        except httpx.HTTPError as error:
            raise UpstreamError(502, f"{self._url} gives an invalid answer: {error!r}") from error
        if found.status_code == httpx.codes.FORBIDDEN:
            log.error("%s refuses our signature: do both services have the same shared secret?", self._url)
        return Response(found.status_code, found.content, found.headers.get("content-type", "text/plain"))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
