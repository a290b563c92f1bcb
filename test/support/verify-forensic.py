#!/usr/bin/env python3
"""Verifies a forensic export as strictly as the appliance's offline verifier, and what else is promised of it.

Usage: verify-forensic.py EXPORT KEY. Prints one line of JSON, or says what is wrong and ends with exit code 1.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import sys

MAXIMUM = 64 * 1024 * 1024
CONTENT = ["exported_at", "incidents", "audit_entries", "system_state", "policy_digest"]
FIELDS = CONTENT + ["canonical_payload", "bundle_hash", "signature"]


def require(condition, message):
    if not condition:
        sys.exit(f"NOT VALID: {message}")


def unique(pairs):
    names = [name for name, _ in pairs]
    require(len(names) == len(set(names)), f"duplicate key among {names[:20]}")
    return dict(pairs)


def not_finite(text):
    sys.exit(f"NOT VALID: {text} is no JSON")


def strict(data):
    return json.loads(data, object_pairs_hook=unique, parse_constant=not_finite)


def regular(path, maximum):
    status = os.lstat(path)
    require(stat.S_ISREG(status.st_mode), f"{path} is not a regular file")
    require(0 < status.st_size <= maximum, f"{path} has {status.st_size} bytes")
    with open(path, "rb") as file:
        return file.read()


def lower_hex(text, what):
    require(isinstance(text, str) and len(text) == 64, f"{what} is not 64 digits")
    require(set(text) <= set("0123456789abcdef"), f"{what} is not lower-case hex")
    return bytes.fromhex(text)


def main(path, key_path):
    bundle = strict(regular(path, MAXIMUM))
    require(isinstance(bundle, dict) and list(bundle) == FIELDS, f"the fields are {list(bundle)}")
    require(isinstance(bundle["canonical_payload"], str), "canonical_payload is no text")
    payload = base64.b64decode(bundle["canonical_payload"], validate=True)
    require(base64.b64encode(payload).decode() == bundle["canonical_payload"], "canonical_payload has another spelling")
    digest = hashlib.sha256(payload).digest()
    require(hmac.compare_digest(digest, lower_hex(bundle["bundle_hash"], "bundle_hash")), "bundle_hash does not match")
    key = regular(key_path, 4096).strip()
    require(len(key) >= 32, "the key is too short")
    signature = hmac.new(key, digest, hashlib.sha256).digest()
    require(hmac.compare_digest(signature, lower_hex(bundle["signature"], "signature")), "signature does not match")
    content = strict(payload)
    require(isinstance(content, dict) and list(content) == CONTENT, f"the payload has {list(content)}")
    require(content == {field: bundle[field] for field in CONTENT}, "the payload is not what is exposed")
    outside = re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', payload)
    require(not re.search(rb"\s", outside), "the payload is not compact")
    require(isinstance(content["exported_at"], str), "exported_at is no text")
    require(isinstance(content["incidents"], list), "incidents is no list")
    require(all(isinstance(one, dict) for one in content["incidents"]), "an incident is no object")
    require(isinstance(content["audit_entries"], list), "audit_entries is no list")
    require(all(isinstance(one, str) for one in content["audit_entries"]), "an audit entry is no text")
    require(isinstance(content["system_state"], dict), "system_state is no object")
    require(all(isinstance(one, str) for one in content["system_state"].values()), "the state has more than texts")
    require(isinstance(content["policy_digest"], str), "policy_digest is no text")
    print(json.dumps({"incidents": len(content["incidents"]), "audit_entries": len(content["audit_entries"])}))


main(*sys.argv[1:])
