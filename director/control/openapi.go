package control

import (
	_ "embed" // the document
	"net/http"
)

// openAPI describes every route for programs, in OpenAPI 3.0. A test makes it from
// the routes and the types, and holds it to them.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI is the description of every route, an OpenAPI 3.0 document in JSON.
func OpenAPI() []byte { return append([]byte(nil), openAPI...) }

func tellOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// A failed write means that the client has gone.
	_, _ = w.Write(openAPI)
}
