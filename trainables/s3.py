"""S3 through pyarrow: how a bucket is reached, by every process alike, and what is wrong where it is not.

Keys are not part of it. Each process finds its own: in its environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`),
in `~/.aws`, or by the role of its machine. So none is ever sent to another machine or written to a disk.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from pyarrow import fs

from trainables.remote import S3, SILENCE, of_environment

CONNECT_TIMEOUT_S = 4
PATIENT, QUICK = 12, 2
"""Attempts at each request. The pauses between them double from 25 ms: 12 outlast a server that is away for a minute
and give up after 102 s, or after minutes where it takes what is sent and is silent; 2 are for what can be done later
as well."""
REQUEST_TIMEOUTS_S = {PATIENT: 4, QUICK: 2}
"""Silence after which an attempt is over; pyarrow's own words, that Linux ignores it, do not hold."""

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
SOME_REGION = "us-east-1"
"""For servers that have none; left out, each process would look for it at its machine's provider."""

_NETWORK = ("NETWORK_CONNECTION", "curlCode", "REQUEST_TIMEOUT", SILENCE)
_REASONS = {
    "no bucket {bucket} there": ("NO_SUCH_BUCKET", "NoSuchBucket"),
    "the keys are refused: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY": (
        "INVALID_ACCESS_KEY_ID", "InvalidAccessKeyId", "SIGNATURE_DOES_NOT_MATCH", "SignatureDoesNotMatch",
        "UNRECOGNIZED_CLIENT", "INVALID_CLIENT_TOKEN_ID", "MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE",
        "InvalidToken", "ExpiredToken",
    ),
    "it is full": ("InsufficientStorage", "StorageFull", "QuotaExceeded", "HTTP status 507", "EntityTooLarge"),
    "these keys do not have access to it": ("ACCESS_DENIED", "AccessDenied", "HTTP status 403"),
    "nothing answers at {endpoint}": _NETWORK,
    "what answers at {endpoint} is not S3, or has no such place": ("RESOURCE_NOT_FOUND", "HTTP status 404"),
}  # fmt: skip
"""What is to be said, and what the answer has in it. The first that fits counts."""


class Bucket(fs.S3FileSystem):
    """pyarrow's own, which keeps what it was made with when it is sent to another process, its patience included."""

    def __init__(self, endpoint: str, region: str, attempts: int = PATIENT) -> None:
        self.made_with = endpoint, region, attempts
        url = urlsplit(endpoint)
        super().__init__(
            endpoint_override=url.netloc or None,
            scheme=url.scheme or None,
            region=region or None,
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=REQUEST_TIMEOUTS_S.get(attempts, CONNECT_TIMEOUT_S),
            allow_delayed_open=True,  # one request for a small file instead of three
            retry_strategy=fs.AwsDefaultS3RetryStrategy(max_attempts=attempts),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return bucket, self.made_with


@lru_cache
def bucket(endpoint: str, region: str, attempts: int = PATIENT) -> Bucket:
    """One for each process: it keeps its connections."""
    return Bucket(endpoint, region, attempts)


def reached(uri: str, endpoint: str = "", region: str = "", attempts: int = PATIENT) -> tuple[Bucket, str]:
    """The filesystem of an address as s3://bucket/folder, and the path in it. Raises OSError."""
    path = uri.removeprefix(S3)
    region = region or of_environment(REGIONS) or (SOME_REGION if endpoint else _region_of(path.partition("/")[0]))
    return bucket(endpoint, region, attempts), path


@lru_cache
def _region_of(name: str) -> str:
    """Of a bucket at Amazon, which its servers are asked for. Raises OSError."""
    return fs.resolve_s3_region(name)


def is_silence(error: BaseException) -> bool:
    """Whether nobody has answered."""
    return any(sign in str(error) for sign in _NETWORK)


def reason(error: BaseException, bucket_name: str, endpoint: str) -> str:
    """What a request came to, in words that a user can act on."""
    text = " ".join(str(error).split())
    for words, signs in _REASONS.items():
        if any(sign in text for sign in signs):
            return words.format(bucket=bucket_name, endpoint=endpoint or "Amazon's S3")
    return text[:200] or type(error).__name__
