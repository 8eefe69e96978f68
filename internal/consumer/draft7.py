"""Holds documents against a JSON Schema of draft 7, with Debian's python3-jsonschema.

Reads schema.json and documents.json, a mapping from names to documents, beside this file, and prints a mapping from the
same names to what is wrong with each document, one line a complaint.
"""
import json
import pathlib
import sys

import jsonschema

here = pathlib.Path(__file__).parent


def path(keys):
    """The place of a complaint in the way of Muster's own problems."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")


schema = json.loads((here / "schema.json").read_text())
jsonschema.Draft7Validator.check_schema(schema)
if schema.get("$schema") != jsonschema.Draft7Validator.META_SCHEMA["$schema"]:
    sys.exit(f"the schema says it is of {schema.get('$schema')}, not of draft 7")
validator = jsonschema.Draft7Validator(schema)
documents = json.loads((here / "documents.json").read_text())
complaints = {
    name: sorted(f"{path(e.absolute_path)}: {e.message}" for e in validator.iter_errors(document))
    for name, document in documents.items()
}
json.dump(complaints, sys.stdout)
