"""Certificate authorities and certificates: ECDSA on P-256, SHA-256. Imported only by the ``tls`` commands."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = datetime.timedelta(minutes=5)


class CertificateError(Exception):
    """A certificate or key cannot be used; the text is Go's."""


class Made:
    """A certificate and its private key, in PEM."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    serial: int,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    days: int,
    *,
    signs_certificates: bool,
) -> x509.CertificateBuilder:
    """What certificates of authorities and of agents have in common."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=signs_certificates, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=signs_certificates), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )


def create_authority(days: int, domain: str, name: str, cluster_id: str, constraints: Sequence[str]) -> Made:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pyconsul"),
            x509.NameAttribute(NameOID.COMMON_NAME, (name or f"Agent CA {serial}")[:64]),
        ]
    )
    builder = _builder(subject, subject, serial, key, key, days, signs_certificates=True)
    if cluster_id:
        trust_domain = x509.UniformResourceIdentifier(f"spiffe://{cluster_id}.{domain}")
        builder = builder.add_extension(x509.SubjectAlternativeName([trust_domain]), critical=False)
    if constraints:
        permitted = [x509.DNSName(allowed) for allowed in constraints]
        builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    return Made(builder.sign(key, hashes.SHA256()), key)


def create_certificate(
    authority_pem: bytes,
    authority_key_pem: bytes,
    days: int,
    names: Sequence[str],
    addresses: Sequence[str],
    authenticates: bool,
) -> Made:
    """``names``: the subject, then all DNS names. ``authenticates``: usable for both ends of a TLS connection.

    Raises CertificateError.
    """
    signer = _load_key(authority_key_pem)
    try:
        authority = x509.load_pem_x509_certificate(authority_pem)
    except ValueError as error:
        raise CertificateError("failed to parse CA: no PEM-encoded data found") from error
    if authority.public_key() != signer.public_key():
        raise CertificateError(
            "failed to create certificate: x509: provided PrivateKey doesn't match parent's PublicKey"
        )
    try:
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names[1:]]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    except ValueError as error:
        raise CertificateError(f"failed to create certificate: {error}") from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    serial = x509.random_serial_number()
    builder = _builder(subject, authority.subject, serial, key, signer, days, signs_certificates=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if authenticates:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return Made(builder.sign(signer, hashes.SHA256()), key)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("no PEM-encoded data found") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("failed to create certificate: the CA's key is not an ECDSA key")
    return key


def write_public(path: str, data: bytes) -> None:
    _write(path, data, 0o666)


def write_key(path: str, data: bytes) -> None:
    _write(path, data, 0o600)


def _write(path: str, data: bytes, mode: int) -> None:
    """Never over an existing file: a key that is overwritten is lost."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
