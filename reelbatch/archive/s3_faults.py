"""What an S3 error means for us: worth another try, or something for the user to put right.

Messages carry codes and places only, never what the server or botocore wrote, so that no
credential can end up in a log.
"""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from reelbatch.errors import Permanent, Refused, Transient

Fault = Transient | Permanent

THROTTLED = frozenset(
    {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestThrottled"}
    | {"RequestLimitExceeded", "TooManyRequests", "SlowDownRead", "SlowDownWrite"}
)
PASSING = frozenset(
    {"RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
    | {"ConditionalRequestConflict", "OperationAborted", "InternalError", "IncompleteBody"}
)
FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageFull"})


@dataclass(frozen=True, kw_only=True)
class Words:
    """A sentence about `{bucket}`, `{uri}` or `{endpoint}`, and what to do."""

    message: str
    advice: str


SAID = {
    "NoSuchBucket": Words(
        message="The bucket s3://{bucket} does not exist.",
        advice="Create it, or give another archive with --archive.",
    ),
    "InvalidAccessKeyId": Words(
        message="{endpoint} does not know the access key.", advice="Check AWS_ACCESS_KEY_ID."
    ),
    "SignatureDoesNotMatch": Words(
        message="The secret key does not fit the access key at {endpoint}.",
        advice="Check AWS_SECRET_ACCESS_KEY.",
    ),
    "ExpiredToken": Words(
        message="The AWS session has expired.",
        advice="Sign in again and run again: finished rows are kept.",
    ),
    "InvalidToken": Words(
        message="The AWS session token is not valid.", advice="Check AWS_SESSION_TOKEN."
    ),
    "RequestTimeTooSkewed": Words(
        message="This machine's clock is too far off for {endpoint}.", advice="Set the clock."
    ),
    "AccessDenied": Words(
        message="{uri} does not let us write.",
        advice="Allow s3:PutObject and s3:GetObject below the prefix.",
    ),
    "NotImplemented": Words(
        message="{endpoint} does not know conditional puts, so nothing there is safe from being"
        " overwritten.",
        advice="Use a store that honours If-None-Match.",
    ),
}
SAME = {
    "ExpiredTokenException": "ExpiredToken",
    "TokenRefreshRequired": "ExpiredToken",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "403": "AccessDenied",
}


def fault(error: ClientError | BotoCoreError, *, uri: str, bucket: str, endpoint: str) -> Fault:
    """The error as a family and a sentence."""
    if isinstance(error, BotoCoreError):
        return _of_botocore(error, uri, endpoint)
    code, status = read_code(error), _status(error)
    if code in FULL or status == 507:
        return Permanent(
            f"{uri} is full ({code}).", advice="Make room and run again.", error="archive_full"
        )
    if words := SAID.get(SAME.get(code, code)):
        message = words.message.format(uri=uri, bucket=bucket, endpoint=endpoint)
        return Permanent(message, advice=words.advice, error="archive_refused")
    if code in THROTTLED or status == 429:
        return Transient(f"{uri} is throttling ({code}).", retry_after=_retry_after(error))
    if code in PASSING or status >= 500 or status in (408, 409):
        return Transient(f"{uri} answered {code}.", retry_after=_retry_after(error))
    return Permanent(
        f"{uri} refuses: {code} ({status}).",
        advice="Check the bucket's region, policy and settings.",
        error="archive_refused",
    )


def no_credentials(uri: str) -> Refused:
    return Refused(f"There are no AWS credentials for {uri}.", advice=CREDENTIALS_ADVICE)


CREDENTIALS_ADVICE = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws."


def _of_botocore(error: BotoCoreError, uri: str, endpoint: str) -> Fault:
    if isinstance(
        error,
        NoCredentialsError
        | PartialCredentialsError
        | CredentialRetrievalError
        | TokenRetrievalError,
    ):
        return Permanent(
            f"There are no usable AWS credentials for {uri}.",
            advice=CREDENTIALS_ADVICE,
            error="archive_refused",
        )
    if isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError):
        return Transient(
            f"{endpoint} cannot be reached, or broke off ({type(error).__name__}).",
            advice="Check the network and AWS_ENDPOINT_URL_S3.",
        )
    return Permanent(
        f"{uri} cannot be used ({type(error).__name__}).",
        advice="Check the archive's URI and the AWS_* variables.",
        error="archive_refused",
    )


def read_code(error: ClientError | BotoCoreError) -> str:
    """S3's code, such as NoSuchKey; for an answer without a body its number, such as 404."""
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    return str(error.response.get("Error", {}).get("Code", "")) or str(_status(error))


def is_missing(error: ClientError | BotoCoreError) -> bool:
    return read_code(error) in ("NoSuchKey", "404", "NotFound")


def is_denied(error: ClientError | BotoCoreError) -> bool:
    """What S3 also says of a missing key, to those who may not list the bucket."""
    return read_code(error) in ("AccessDenied", "403", "Forbidden")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _retry_after(error: ClientError) -> float | None:
    value = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(value) if value.isdecimal() else None
