"""The signature that a call to S3, or to Ceph's object gateway, must have.

Source: AWS Signature Version 4, of the Authorization header.
"""

import hashlib
import hmac
from collections.abc import Mapping
from functools import reduce
from urllib.parse import parse_qsl, quote

_SCHEME = "AWS4-HMAC-SHA256"


def signature(
    secret: str,
    scope: str,
    signed: str,
    method: str,
    path: str,
    query: str,
    given: Mapping[str, str],
) -> str:
    """Return the signature of a call without a body; `given` are its headers, in lower case.

    `scope` is day/region/service/aws4_request, `signed` the names of the headers signed along.
    """
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    headers = "".join(f"{name}:{given[name]}\n" for name in signed.split(";"))
    asked = "&".join(f"{name}={value}" for name, value in pairs)
    call = "\n".join([method, path, asked, headers, signed, hashlib.sha256(b"").hexdigest()])
    hashed = hashlib.sha256(call.encode()).hexdigest()
    key = reduce(_keyed, scope.split("/"), f"AWS4{secret}".encode())
    return _keyed(key, f"{_SCHEME}\n{given['x-amz-date']}\n{scope}\n{hashed}").hex()


def is_signed(
    access: str, secret: str, method: str, path: str, query: str, given: Mapping[str, str]
) -> bool:
    """Return whether a call has the signature of these keys, over its host and its time at least."""
    scheme, _, rest = given.get("authorization", "").partition(" ")
    fields = dict(field.strip().partition("=")[::2] for field in rest.split(","))
    who, _, scope = fields.get("Credential", "").partition("/")
    signed = fields.get("SignedHeaders", "")
    if (scheme, who) != (_SCHEME, access) or not {"host", "x-amz-date"} <= set(signed.split(";")):
        return False
    return fields["Signature"] == signature(secret, scope, signed, method, path, query, given)


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
