"""Makes keys and signatures as a FIDO security key makes them (OpenSSH's PROTOCOL.u2f), of the file `content`."""

import base64
import hashlib
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils


def string(value):
    return struct.pack(">I", len(value)) + value


def mpint(value):
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


content = open("content", "rb").read()
APPLICATION, FLAGS_AND_COUNTER = b"ssh:", struct.pack(">BI", 1, 7)
signed = b"SSHSIG" + string(b"file") + string(b"") + string(b"sha512") + string(hashlib.sha512(content).digest())
by_hardware = hashlib.sha256(APPLICATION).digest() + FLAGS_AND_COUNTER + hashlib.sha256(signed).digest()


def write(name, algorithm, key, signature):
    with open(f"{name}.pub", "w") as file:
        file.write(f"{algorithm} {base64.b64encode(key).decode()} {name}\n")
    blob = b"SSHSIG" + struct.pack(">I", 1) + string(key) + string(b"file") + string(b"") + string(b"sha512")
    blob += string(string(algorithm.encode()) + string(signature) + FLAGS_AND_COUNTER)
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    with open(f"{name}.sig", "w") as file:
        file.write("\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]))


secret = ed25519.Ed25519PrivateKey.generate()
point = secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
algorithm = "sk-ssh-ed25519@openssh.com"
key = string(algorithm.encode()) + string(point) + string(APPLICATION)
write("sk-ed25519", algorithm, key, secret.sign(by_hardware))

secret = ec.generate_private_key(ec.SECP256R1())
point = secret.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
algorithm = "sk-ecdsa-sha2-nistp256@openssh.com"
key = string(algorithm.encode()) + string(b"nistp256") + string(point) + string(APPLICATION)
r, s = utils.decode_dss_signature(secret.sign(by_hardware, ec.ECDSA(hashes.SHA256())))
write("sk-ecdsa", algorithm, key, mpint(r) + mpint(s))
