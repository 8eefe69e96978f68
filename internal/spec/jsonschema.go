package spec

import _ "embed"

// JSONSchema is the shape of a spec file as a JSON Schema of draft 7, for editors. It is made from this package's types
// and comments by internal/specdoc (make docs); what needs more than one value to judge is left to Validate.
//
//go:embed schema.json
var JSONSchema []byte
