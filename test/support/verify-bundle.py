"""Verifies an evidence bundle by what src/bundle/README.md says, and by nothing of the recorder's own code.

usage: verify-bundle.py BUNDLE [--key FILE]     exit code 0 or 1
A bundle that a fleet has made is believed by the key in it: its fingerprint is to be compared.
"""
import hashlib, hmac, json, subprocess, sys, tempfile, os, base64

FORMAT = "incident-recorder-bundle/1"


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sha(data):
    return hashlib.sha256(data).digest()


def root_from(leaf, index, size, path):
    if not 0 <= index < size:
        return None
    last, root = size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if index % 2 == 1 or index == last:
            root = sha(b"\x01" + sibling + root)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        else:
            root = sha(b"\x01" + root + sibling)
        index, last = index // 2, last // 2
    return root if last == 0 else None


def root_up_to(leaf, index, size, path):
    """The root of the tree that ends with the leaf: what is on the left in its path."""
    last, root = size - 1, leaf
    for sibling in path:
        if index % 2 == 1 or index == last:
            root = sha(b"\x01" + sibling + root)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        index, last = index // 2, last // 2
    return root


def check_anchor(anchor, log):
    note, entry, tree = anchor["note"], anchor["entry"], log["tree"]
    origin, seq, root64, hash_line = note.split("\n")[:4]
    assert origin.split("/")[-1] == log["id"] and int(seq) == entry["seq"], "anchor"
    assert hash_line == "hash " + entry["entry_hash"], "anchor"
    leaf, path = sha(b"\x00" + bytes.fromhex(entry["entry_hash"])), [bytes.fromhex(one) for one in entry["path"]]
    index = entry["seq"] - tree["first"]
    root = root_from(leaf, index, tree["size"], path)
    assert root is not None and root.hex() == tree["root"], "place of the anchor"
    if tree["first"] == 1:
        assert root_up_to(leaf, index, tree["size"], path) == base64.b64decode(root64), "root of the anchor"


def entry_hash(entry, key, algorithm):
    members = {name: entry[name] for name in ("data", "event", "prev_hash", "timestamp")}
    form = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    if algorithm == "sha256":
        return hashlib.sha256(form).hexdigest()
    return hmac.new(key, form, hashlib.sha256).hexdigest()


def fingerprint(public_key):
    lines = public_key.strip().split("\n")
    return hashlib.sha256(base64.b64decode("".join(lines[1:-1]), validate=True)).hexdigest()


def signed(content, signature, public_key):
    with tempfile.TemporaryDirectory() as directory:
        def put(name, content):
            path = os.path.join(directory, name)
            with open(path, "wb") as file:
                file.write(content)
            return path
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", put("key", public_key.encode()), "-rawin",
                   "-in", put("signed", content.encode()), "-sigfile", put("signature", base64.b64decode(signature, validate=True))]
        return subprocess.run(command, capture_output=True).returncode == 0


def verify(raw, key):
    bundle = json.loads(raw.decode("utf-8"))
    assert (text(bundle) + "\n").encode() == raw, "spelling"
    members = ["format", "fields", "manifest", "manifest_hash"]
    assert list(bundle) in (members, members + ["signature", "public_key"]) and bundle["format"] == FORMAT, "form"
    manifest = json.loads(bundle["manifest"])
    assert text(manifest) == bundle["manifest"] and manifest["format"] == FORMAT, "manifest"
    for name, field in bundle["fields"].items():
        assert list(field) == ["salt", "value"], name
        said = hashlib.sha256("\n".join((field["salt"], name, field["value"])).encode()).hexdigest()
        assert manifest["fields"].get(name) == said, f"field {name}"
    proofs, log = manifest["proofs"], manifest["log"]
    assert ("signature" in proofs) == ("signature" in bundle), "signature"
    proved = False
    form = (FORMAT + "\n" + bundle["manifest"]).encode()
    fleet = manifest.get("signed_by")
    if fleet is not None:
        # Made by a fleet: its signature is the proof, and the key of its name has signed.
        assert proofs == ["signature"] and "machine" in manifest, "fleet"
        name, key_id, key64 = fleet["key"].split("+", 2)
        raw_key = base64.b64decode(key64, validate=True)
        assert name == fleet["fleet"] and raw_key[0] == 1 and len(raw_key) == 33, "key of the fleet"
        assert sha(name.encode() + b"\n" + raw_key)[:4].hex() == key_id, "key of the fleet"
        der = bytes.fromhex("302a300506032b6570032100") + raw_key[1:]
        assert hashlib.sha256(der).hexdigest() == manifest["signer"], "key of the fleet"
    if log["algorithm"] == "sha256" or fleet is not None:
        assert hashlib.sha256(form).hexdigest() == bundle["manifest_hash"], "manifest hash"
    elif key is not None:
        assert hmac.new(key, form, hashlib.sha256).hexdigest() == bundle["manifest_hash"], "manifest hash"
        proved = True
    assert ("signature" in bundle) == (manifest["signer"] is not None), "signer"
    if "signature" in bundle:
        assert fingerprint(bundle["public_key"]) == manifest["signer"], "signer"
        assert signed(bundle["manifest"] + "\n" + bundle["manifest_hash"], bundle["signature"], bundle["public_key"]), "signature"
        assert base64.b64encode(base64.b64decode(bundle["signature"])).decode() == bundle["signature"], "signature"
        proved = True
    tree = log["tree"]
    assert tree["first"] + tree["size"] - 1 == log["head"]["seq"], "tree"
    if log["anchor"] is not None:
        check_anchor(log["anchor"], log)
        if fleet is not None:
            origin = "/".join((fleet["fleet"], manifest["machine"]["name"], log["id"]))
            assert log["anchor"]["note"].split("\n")[0] == origin, "anchor"
    lines = 0
    for incident in manifest["incidents"]:
        for entry in incident["entries"]:
            leaf = sha(b"\x00" + bytes.fromhex(entry["entry_hash"]))
            path = [bytes.fromhex(one) for one in entry["path"]]
            root = root_from(leaf, entry["seq"] - tree["first"], tree["size"], path)
            assert root is not None and root.hex() == tree["root"], f"place of entry {entry['seq']}"
            field = bundle["fields"].get(f"entry/{entry['seq']}")
            if field is None:
                continue
            line = json.loads(field["value"])
            assert line["data"]["seq"] == entry["seq"] and line["data"]["incident"] == incident["id"], "line"
            assert line["entry_hash"] == entry["entry_hash"], "line"
            if key is not None or log["algorithm"] == "sha256":
                assert entry_hash(line, key, log["algorithm"]) == entry["entry_hash"], "hash of a line"
            lines += 1
    assert proved, "nothing shows who made it"
    return {"incidents": [one["id"] for one in manifest["incidents"]], "lines": lines, "fields": len(bundle["fields"])}


if __name__ == "__main__":
    key = None
    if "--key" in sys.argv:
        key = open(sys.argv[sys.argv.index("--key") + 1], "rb").read().strip()
    try:
        print(json.dumps(verify(open(sys.argv[1], "rb").read(), key)))
    except (AssertionError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        print(f"not valid: {error}", file=sys.stderr)
        sys.exit(1)
