"""Prints the trusted root of a log: what its operator gives to clients."""

import base64
import hashlib
import json
import sys

log = json.load(open(f"{sys.argv[1]}/log/public/log.json"))
name, _, key = log["keys"][0].split("+", 2)
key = base64.b64decode(key)
assert key[0] == 1, "the first key is Ed25519"
log_id = hashlib.sha256(name.encode() + b"\n" + key).digest()
spki = bytes.fromhex("302a300506032b6570032100") + key[1:]
print(json.dumps({
    "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "tlogs": [{
        "baseUrl": f"https://{log['origin']}",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": base64.b64encode(spki).decode(),
            "keyDetails": "PKIX_ED25519",
            "validFor": {"start": "2026-01-01T00:00:00Z"},
        },
        "logId": {"keyId": base64.b64encode(log_id).decode()},
    }],
    "certificateAuthorities": [],
    "ctlogs": [],
    "timestampAuthorities": [],
}, indent=2))
