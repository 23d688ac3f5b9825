"""A certificate authority that lives as long as the emulator, and one certificate of it."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reelbatch.emulator.clock import now

NAMES = (
    "localhost",
    "queue.fal.run",
    "fal.run",
    "rest.fal.ai",
    "api.fal.ai",
    "v3.fal.media",
    "v3b.fal.media",
)
LIFE = timedelta(days=30)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class Certificate:
    ca: Path
    chain: Path
    key: Path


def make(folder: Path, host: str) -> Certificate:
    """Writes ca.pem, chain.pem and key.pem into the folder."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = authority(ca_key)
    ours = signed(key, ca, ca_key, host)
    made = Certificate(ca=folder / "ca.pem", chain=folder / "chain.pem", key=folder / "key.pem")
    made.ca.write_bytes(ca.public_bytes(Encoding.PEM))
    made.chain.write_bytes(ours.public_bytes(Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return made


def authority(key: Key) -> x509.Certificate:
    name = named("Reelbatch emulator CA")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        begun(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def signed(key: Key, ca: x509.Certificate, ca_key: Key, host: str) -> x509.Certificate:
    """For loopback, for `host`, and for fal's own names."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        begun(named("Reelbatch emulator"), ca.subject, key)
        .add_extension(x509.SubjectAlternativeName(alternatives(host)), critical=False)
        .add_extension(identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def begun(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(minutes=5))
        .not_valid_after(now() + LIFE)
        .add_extension(identifier, critical=False)
    )


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def alternatives(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    addresses = {"127.0.0.1", "::1"}
    try:
        addresses.add(str(ipaddress.ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    return names + [x509.IPAddress(ipaddress.ip_address(each)) for each in sorted(addresses)]
