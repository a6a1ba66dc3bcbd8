"""Judges the entries in a folder, each `{"proposed": ..., "body": "..."}`.

A body has to be what the `rfc8785` package writes for its own JSON. Proposal and body have to have the structure that the models of
`sigstore-rekor-types` have, which are made from Rekor's schemas.
"""

import collections
import json
import pathlib
import sys

import rekor_types
import rfc8785
from pydantic import TypeAdapter

ENTRY = TypeAdapter(rekor_types.ProposedEntry)

# Logged as base64, where the schema has an object; only the proposal can be judged.
BODY_IS_NO_PROPOSAL = {"tuf"}


def judge(kept):
    proposed, body = kept["proposed"], json.loads(kept["body"])
    if rfc8785.dumps(body) != kept["body"].encode():
        return "body is not canonical"
    if (body["apiVersion"], body["kind"]) != (proposed["apiVersion"], proposed["kind"]):
        return "body is of another kind or version"
    # Tegula takes base64 for a document of TUF too.
    documents = [proposed["spec"].get(name, {}).get("content") for name in ["metadata", "root"]]
    if proposed["kind"] != "tuf" or all(isinstance(document, dict) for document in documents):
        ENTRY.validate_python(proposed)
    if body["kind"] not in BODY_IS_NO_PROPOSAL:
        ENTRY.validate_python(body)
    return None


def main(folder):
    seen = collections.Counter()
    failed = 0
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        kept = json.loads(path.read_text())
        try:
            fault = judge(kept)
        except ValueError as error:
            fault = error
        if fault:
            failed += 1
            print(f"{path}: {fault}", file=sys.stderr)
        seen[f"{kept['proposed']['kind']} {kept['proposed']['apiVersion']}"] += 1
    for kind, count in sorted(seen.items()):
        print(f"{kind}: {count} entries judged")
    if failed or not seen:
        sys.exit(f"{failed} of {seen.total()} entries failed")


if __name__ == "__main__":
    main(sys.argv[1])
