"""sigstore-python parses each answer strictly, and verifies its proof and its checkpoint; and refuses it when changed."""

import base64
import json
import sys
from pathlib import Path

from sigstore.errors import Error
from sigstore.models import KeyringPurpose, TransparencyLogEntry, TrustedRoot
from sigstore_models.rekor.v1 import TransparencyLogEntry as Message

golden = Path(sys.argv[1])
keyring = TrustedRoot.from_file(sys.argv[2]).rekor_keyring(KeyringPurpose.VERIFY)


def verify(answer):
    TransparencyLogEntry(Message.from_json(json.dumps(answer)))._verify(keyring)


def flipped(text):
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def changes(answer):
    proof = answer["inclusionProof"]
    yield "body", {**answer, "canonicalizedBody": flipped(answer["canonicalizedBody"])}
    yield "log id", {**answer, "logId": {"keyId": base64.b64encode(bytes(32)).decode()}}
    yield "root", {**answer, "inclusionProof": {**proof, "rootHash": flipped(proof["rootHash"])}}
    if proof["hashes"]:
        hashes = [flipped(proof["hashes"][0]), *proof["hashes"][1:]]
        yield "hash", {**answer, "inclusionProof": {**proof, "hashes": hashes}}
        yield "hashes", {**answer, "inclusionProof": {**proof, "hashes": []}}
    envelope = proof["checkpoint"]["envelope"]
    lines = envelope.split("\n")
    lines[1] = str(int(lines[1]) + 1)
    yield "size", {**answer, "inclusionProof": {**proof, "checkpoint": {"envelope": "\n".join(lines)}}}


answers = sorted((golden / "answers").glob("*.json"))
assert answers, "no answers"
refused = 0
for path in answers:
    answer = json.loads(path.read_text())
    verify(answer)
    for what, changed in changes(answer):
        try:
            verify(changed)
        except Error:
            refused += 1
        else:
            sys.exit(f"{path.name} is accepted with another {what}")
print(f"sigstore-python: {len(answers)} answers verified, {refused} changed ones refused")
