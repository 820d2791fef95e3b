"""TLS for the client: contexts from the settings, and the errors in Go's words. Imported only for HTTPS."""

from __future__ import annotations

import os
import socket
import ssl

from pyconsul.client.errors import SettingsError
from pyconsul.client.http1 import Failure, connect_tcp
from pyconsul.client.oserrors import go_error
from pyconsul.client.settings import Settings

_REASONS = {
    "WRONG_VERSION_NUMBER": "http: server gave HTTP response to HTTPS client",
    "HTTP_REQUEST": "http: server gave HTTP response to HTTPS client",
    "SSLV3_ALERT_BAD_CERTIFICATE": "remote error: tls: bad certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "remote error: tls: certificate required",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "remote error: tls: handshake failure",
    "TLSV1_ALERT_UNKNOWN_CA": "remote error: tls: unknown certificate authority",
    "TLSV1_ALERT_PROTOCOL_VERSION": "remote error: tls: protocol version not supported",
    "UNEXPECTED_EOF_WHILE_READING": "EOF",
}

_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED
_HOST_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def context(settings: Settings, check_name: bool = True) -> ssl.SSLContext:
    """Raises SettingsError for files that cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.check_hostname = check_name
        _load_authorities(made, settings)
    if settings.client_cert:
        try:
            made.load_cert_chain(settings.client_cert, settings.client_key)
        except ssl.SSLError as error:
            raise SettingsError(f"tls: failed to use {settings.client_cert} and its key: {error.reason}") from error
        except OSError as error:
            missing = settings.client_cert if not os.path.exists(settings.client_cert) else settings.client_key
            raise SettingsError(go_error("open", missing, error)) from error
    return made


def _load_authorities(made: ssl.SSLContext, settings: Settings) -> None:
    files = []
    if settings.ca_file:
        try:
            with open(settings.ca_file, "rb"):
                files.append(settings.ca_file)
        except OSError as error:
            reason = go_error("open", settings.ca_file, error)
            raise SettingsError(f"Error loading CA File: {reason}") from error
    elif settings.ca_path:
        try:
            os.lstat(settings.ca_path)
            for root, _, names in os.walk(settings.ca_path):
                files += [os.path.join(root, name) for name in sorted(names)]
        except OSError as error:
            raise SettingsError(go_error("lstat", settings.ca_path, error)) from error
    else:
        made.load_default_certs()
    for path in files:
        try:
            made.load_verify_locations(path)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"Error loading CA File: Couldn't parse PEM in: {path}") from error


def wrap(connection: socket.socket, settings: Settings) -> socket.socket:
    """The same connection under TLS. Raises Failure; the connection is closed then."""
    name = settings.tls_server_name or settings.host
    try:
        made = settings.tls_context or context(settings)
        return made.wrap_socket(connection, server_hostname=name or None)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        if error.verify_code in _HOST_MISMATCH:
            raise Failure(_name_mismatch(settings, name)) from error
        if error.verify_code == _EXPIRED:
            raise Failure("x509: certificate has expired or is not yet valid") from error
        raise Failure("x509: certificate signed by unknown authority") from error
    except OSError as error:
        connection.close()
        raise Failure(describe(error) or str(error)) from error


def _name_mismatch(settings: Settings, name: str) -> str:
    """Which names the certificate has; asked by a second handshake, on which nothing else is ever sent."""
    try:
        with (
            connect_tcp(settings.host, settings.connect_port) as plain,
            context(settings, check_name=False).wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            certificate = wrapped.getpeercert() or {}
    except (OSError, Failure):
        certificate = {}
    kind = "IP Address" if _is_address(name) else "DNS"
    alternatives = certificate.get("subjectAltName", ())
    names = [str(pair[1]) for pair in alternatives if pair[0] == kind]
    if not names:
        return f"x509: certificate is not valid for any names, but wanted to match {name}"
    return f"x509: certificate is valid for {', '.join(names)}, not {name}"


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except OSError:
            continue
        return True
    return False


def describe(error: OSError) -> str:
    """Go's words for an error of TLS, empty for any other error."""
    reason = getattr(error, "reason", None)
    if not isinstance(reason, str):
        return ""
    return _REASONS.get(reason, f"tls: {reason.lower().replace('_', ' ')}")
