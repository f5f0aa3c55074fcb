"""How calls to Ceph's object gateway are signed: as those of S3, with keys of its own.

Source: AWS Signature Version 4.
"""

from typing import Any, Final

from requests_aws4auth import AWS4Auth

_REGION: Final = "us-east-1"  # is signed along; the gateway takes whichever is named


def signed_with(keys: tuple[str, str] | None) -> dict[str, Any]:
    """Return what has a session sign a call with keys (access, secret) instead of its token."""
    if keys is None:
        return {}
    # One a call: it keeps the day's key, which threads would change under one another.
    return {"authenticated": False, "requests_auth": AWS4Auth(*keys, _REGION, "s3")}
