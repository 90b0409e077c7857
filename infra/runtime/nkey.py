"""Key pairs of bus users: Ed25519, spelled as NATS spells them. The server knows the public half only.

The library is loaded when a key is used: most processes sign in with a password.
"""

from __future__ import annotations

import secrets

from contracts.errors import Permanent

_SEED_BYTES = 32


class BadSeed(Permanent):
    """That is no seed of a user's key."""


def new_seed() -> str:
    """The seed of a user's key pair, from the system's random numbers."""
    import nkeys

    seed: bytes = nkeys.encode_seed(secrets.token_bytes(_SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def public_key(seed: str) -> str:
    """
    Raises:
        BadSeed: that is none, or not a user's.
    """
    import nkeys

    try:
        key: bytes = nkeys.from_seed(bytearray(seed.encode())).public_key
    except (nkeys.NkeysError, ValueError) as error:  # binascii.Error is a ValueError
        raise BadSeed("this is no seed of an nkey: it begins with SU and has 58 characters") from error
    if not key.startswith(b"U"):
        raise BadSeed("this nkey is not a user's: its seed begins with SU")
    return key.decode()
