"""The root password of a platform: made up or given, hashed as illumos hashes it, put into /etc/shadow."""

import hashlib
import secrets

from imagekit.errors import InputError

LENGTH = 16
_LETTERS = "abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ"  # without those that look like others (B, I, O, S, l, o)
_DIGITS = "34679"
_SALT_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_LENGTH = 8
_ROUNDS = 5000
"""What SHA-256 crypt takes when its hash names no rounds, as those of illumos' crypt_gensalt do not."""


def random_password() -> str:
    """Return 16 letters and digits that cannot be mistaken for others, at least one capital and one digit."""
    while True:
        password = "".join(secrets.choice(_LETTERS + _DIGITS) for _ in range(LENGTH))
        if any(char.isupper() for char in password) and any(char.isdigit() for char in password):
            return password


def check_password(password: str) -> str:
    """Return the password when it can be typed at a console; raise InputError when not."""
    if not password or not password.isprintable() or not password.isascii():
        raise InputError(
            "a root password has at least one character, all of them printable ASCII", hint="choose another"
        )
    return password


def crypt(password: str, seed: str) -> str:
    """Return the SHA-256 crypt hash ($5$) of a password, with a salt that derives from `seed` alone.

    The same seed gives the same hash, so that a build can be repeated.  The seed must not hold the password: the salt
    would give it away.
    """
    from passlib.hash import sha256_crypt  # noqa: PLC0415 - slow to import

    digest = hashlib.sha256(seed.encode()).digest()
    salt = "".join(_SALT_LETTERS[byte % 64] for byte in digest[:_SALT_LENGTH])
    return str(sha256_crypt.using(rounds=_ROUNDS, salt=salt).hash(password))


def set_root_password(shadow: bytes, hashed: str, where: str) -> bytes:
    """Return shadow(5) with the password field of root's line replaced; raise InputError when root has no line."""
    lines = shadow.split(b"\n")
    found = False
    for number, line in enumerate(lines):
        fields = line.split(b":")
        if fields[0] == b"root" and len(fields) > 1:
            fields[1] = hashed.encode("ascii")
            lines[number] = b":".join(fields)
            found = True
    if not found:
        raise InputError("no line for root, so its password cannot be set", where=where, hint="add root:NP:6445::::::")
    return b"\n".join(lines)
