"""The hashes of the standard library in its own code: OpenSSL, which has them too, takes 1.7 MB in each process."""

import sys

_unseen = "_hashlib" not in sys.modules
if _unseen:
    sys.modules["_hashlib"] = None  # type: ignore[assignment] # it counts as not installed
import hashlib  # noqa: E402

if _unseen:
    del sys.modules["_hashlib"]

blake2b, sha256 = hashlib.blake2b, hashlib.sha256
