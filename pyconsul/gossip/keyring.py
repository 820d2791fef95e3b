"""Gossip keys: AES-GCM with the primary key out, any key of the ring in.

A body is ``version ‖ nonce 12 ‖ ciphertext ‖ tag 16``. Version 1 encrypts the plaintext as it is, version 0 pads it to
blocks of 16 (PKCS#7). Keys never appear in messages of errors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pyconsul.errors import CallerError, ConfigError, DecodeError

KEY_SIZES = (16, 24, 32)
NONCE_SIZE = 12
TAG_SIZE = 16
NO_KEY = "No installed keys could decrypt the message"
OVERHEAD = {1: 1 + NONCE_SIZE + TAG_SIZE, 0: 1 + NONCE_SIZE + TAG_SIZE + 16}


def parse_key(text: str) -> bytes:
    """A key from base64. Raises ConfigError."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("Invalid encryption key: not base64 (create one with: pyconsul keygen)") from None
    if len(key) not in KEY_SIZES:
        raise ConfigError(f"Invalid encryption key: {len(key)} bytes instead of 16, 24 or 32")
    return key


def format_key(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


class Keyring:
    """An ordered list of keys, the first is the primary. Operations raise CallerError with Serf's texts.

    Each operation makes a new dictionary, so that long streams can be encrypted in another thread meanwhile.
    """

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in keys:
            self.install(key)

    @property
    def keys(self) -> list[bytes]:
        return list(self._ciphers)

    @property
    def primary(self) -> bytes:
        """Raises CallerError when the ring is empty."""
        for key in self._ciphers:
            return key
        raise CallerError("Keyring is empty (encryption not enabled)", 500)

    def install(self, key: bytes) -> None:
        """Adds a key at the end; nothing happens if it is there already."""
        if len(key) not in KEY_SIZES:
            raise CallerError("key size must be 16, 24 or 32 bytes", 500)
        if key not in self._ciphers:
            self._ciphers = {**self._ciphers, key: AESGCM(key)}

    def use(self, key: bytes) -> None:
        if key not in self._ciphers:
            raise CallerError("Requested key is not in the keyring", 500)
        self._ciphers = {key: self._ciphers[key], **self._ciphers}

    def remove(self, key: bytes) -> None:
        """Nothing happens if the key is absent."""
        if self._ciphers and key == self.primary:
            raise CallerError("Removing the primary key is not allowed", 500)
        self._ciphers = {other: cipher for other, cipher in self._ciphers.items() if other != key}

    def encrypt(self, plain: bytes, associated: bytes, version: int, nonce: Callable[[int], bytes]) -> bytes:
        """``nonce(n)`` gives n unpredictable bytes."""
        if version == 0:
            padding = 16 - len(plain) % 16
            plain += bytes((padding,)) * padding
        fresh = nonce(NONCE_SIZE)
        sealed = self._ciphers[self.primary].encrypt(fresh, plain, associated or None)
        return bytes((version,)) + fresh + sealed

    def decrypt(self, body: bytes, associated: bytes) -> bytes:
        """Raises DecodeError when no key opens it."""
        if not body or body[0] not in OVERHEAD:
            raise DecodeError("unsupported encryption version")
        version = body[0]
        if len(body) < 1 + NONCE_SIZE + TAG_SIZE:
            raise DecodeError("encrypted message too short")
        nonce = body[1 : 1 + NONCE_SIZE]
        sealed = body[1 + NONCE_SIZE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, sealed, associated or None)
            except InvalidTag:
                continue
            return _unpad(plain) if version == 0 else plain
        raise DecodeError(NO_KEY)


def _unpad(plain: bytes) -> bytes:
    if not plain or not 1 <= plain[-1] <= 16 or len(plain) % 16 or plain[-1] > len(plain):
        raise DecodeError("bad padding of an encrypted message")
    return plain[: -plain[-1]]
