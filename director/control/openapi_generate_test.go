package control

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

// object is a JSON object.
type object map[string]any

// described is what the document says of a route beyond its path.
type described struct {
	summary string
	// request and answer are values of the bodies' types; nil is none.
	request, answer any
	// query are the parameters by name, each with what it is.
	query []parameter
	// codes are those of the errors that it answers with beside those of all.
	codes []string
	// stream tells that the answer may also be one answer in each line.
	stream bool
}

type parameter struct {
	name, words, kind string
	required          bool
}

// descriptions are of every route: the method and the path.
func descriptions() map[string]described {
	verb := func(summary string, request, answer any, codes ...string) described {
		return described{summary: summary, request: request, answer: answer, codes: append(codes, CodeUnknownInstance)}
	}
	return map[string]described{
		"GET " + statusPath:  {summary: "All that the daemon tells of itself", answer: director.Status{}},
		"GET " + trafficPath: {summary: "What the kernel counts", answer: director.Traffic{}},
		"GET " + eventsPath: {
			summary: "The last events, at most 1000; with follow=1 one in each line, and each further one until the client goes",
			answer:  []director.Event{}, stream: true, codes: []string{CodeBadRequest, CodeTooMany},
			query: []parameter{
				{"after", "only events whose seq is greater", "integer", false},
				{"follow", "1 goes on with each event that comes", "integer", false},
			},
		},
		"GET " + explainPath: {
			summary: "Why a real server stands as it does", answer: director.Explanation{},
			codes: []string{CodeUnknownServer, CodeUnknownService, CodeBadRequest},
			query: []parameter{
				{"server", "the address or name of a real server, or the beginning of one", "string", true},
				{"service", "only in this virtual service", "string", false},
			},
		},
		"GET " + explainPath + "/instance/{name}": {
			summary: "Why a VRRP instance stands as it does", answer: director.InstanceExplanation{}, codes: []string{CodeUnknownInstance},
		},
		"GET " + explainPath + "/service/{name}": {
			summary: "Why a virtual service stands as it does", answer: director.ServiceExplanation{}, codes: []string{CodeUnknownService},
		},
		"GET " + openAPIPath: {summary: "This document", answer: object{}},
		"POST " + planPath: {
			summary: "What a reload of a file would change; changes nothing", request: PlanRequest{}, answer: director.Preview{},
			codes: []string{CodeInvalidFile, CodeBadRequest},
		},
		"POST " + vrrpPath + "{instance}/give-up": verb(
			"Leave MASTER to another node, and wait until it has it", giveUpRequest{}, giveUpAnswer{}, CodeNoTakeover, CodeBadRequest),
		"POST " + vrrpPath + "{instance}/hold":    verb("Stay BACKUP until released, over restarts too", nil, nothing{}),
		"POST " + vrrpPath + "{instance}/release": verb("End a hold, and what give-up began", nil, nothing{}),
		"POST " + vrrpPath + "{instance}/priority": verb(
			"Set the priority that tracking starts from", priorityRequest{}, nothing{}, CodeBadRequest),
		"POST " + ordersPath: {
			summary: "Give an order: drain, disable, enable or weigh", request: director.Order{}, answer: director.Spread{},
			codes: []string{CodeUnknownServer, CodeUnknownService, CodeUnknownNode, CodeBadRequest},
		},
		"POST " + clearPath: {
			summary: "Take an order back", request: clearRequest{}, answer: director.Spread{},
			codes: []string{CodeUnknownServer, CodeUnknownService, CodeUnknownNode, CodeBadRequest},
		},
		"POST " + maintenancePath: {
			summary: "Begin or end maintenance of the node, and wait until that is done",
			request: director.MaintenanceOrder{}, answer: director.Spread{}, codes: []string{CodeNoTakeover, CodeBadRequest, CodeTimeout},
		},
		"POST " + checkPath: {
			summary: "Have checks ask at once, and wait for the answers", request: checkRequest{}, answer: director.Explanation{},
			codes: []string{CodeUnknownServer, CodeUnknownService, CodeBadRequest, CodeTimeout},
		},
		"POST " + reloadPath: {
			summary: "Go over to the file as it is now, and wait until the kernel is as it says",
			request: ReloadRequest{}, answer: ReloadAnswer{}, codes: []string{CodeInvalidFile, CodeRolledBack, CodeBusy, CodeTimeout},
		},
		"POST " + confirmPath: {
			summary: "Keep what a reload brought that waits to be confirmed", answer: nothing{}, codes: []string{CodeNothingToConfirm},
		},
	}
}

// document makes the OpenAPI document of the routes and the types.
func document(t *testing.T) []byte {
	t.Helper()
	d := describer{words: comments(t), schemas: object{}}
	paths := map[string]object{}
	all := descriptions()
	for _, one := range routes(nil) {
		key := one.Method + " " + one.Path
		about, known := all[key]
		if !known {
			t.Errorf("no description of %s", key)
		}
		if paths[one.Path] == nil {
			paths[one.Path] = object{}
		}
		paths[one.Path][strings.ToLower(one.Method)] = d.operation(one, about)
		delete(all, key)
	}
	for key := range all {
		t.Errorf("%s is described but not answered", key)
	}
	d.schema(reflect.TypeFor[errorBody](), true)
	text, err := json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "lvsd", "version": "1",
			"description": "The API of lvsd: HTTP and JSON on a unix socket, /run/lvsd/lvsd.sock, for root, and on the page's listener. " +
				"Fields are only ever added; a program must leave alone those that it does not know.",
		},
		"servers":    []object{{"url": "http://lvsd"}},
		"paths":      paths,
		"components": object{"schemas": d.schemas},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// describer turns types into schemas.
type describer struct {
	// words are the comments of types and fields, as "Status" and "Status.PID".
	words   map[string]string
	schemas object
}

func (d *describer) operation(one Route, about described) object {
	o := object{"summary": about.summary, "operationId": operationID(one), "responses": d.responses(about)}
	parameters := []object{}
	for part := range strings.SplitSeq(one.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, p := range about.query {
		parameters = append(parameters, object{
			"name": p.name, "in": "query", "required": p.required, "description": p.words, "schema": object{"type": p.kind},
		})
	}
	if len(parameters) > 0 {
		o["parameters"] = parameters
	}
	if about.request != nil {
		o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(about.request), false)}}}
	}
	return o
}

func operationID(one Route) string {
	words := strings.FieldsFunc(strings.ToLower(one.Method)+" "+strings.TrimPrefix(one.Path, "/v1"), func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz", r) })
	return strings.Join(words, "_")
}

func (d *describer) responses(about described) object {
	answer := d.schema(reflect.TypeOf(about.answer), true)
	content := object{"application/json": object{"schema": answer}}
	if about.stream {
		content[lines] = object{"schema": answer["items"]}
	}
	responses := object{"200": object{"description": "done", "content": content}}
	byStatus := map[int][]string{}
	for _, code := range append([]string{CodeFailed, CodeNotPermitted, CodeSignIn, CodeUnknownHost}, about.codes...) {
		byStatus[statusOf(code)] = append(byStatus[statusOf(code)], code)
	}
	for status, codes := range byStatus {
		responses[fmt.Sprint(status)] = object{
			"description": strings.Join(slices.Sorted(slices.Values(codes)), ", "),
			"content":     object{"application/json": object{"schema": object{"$ref": "#/components/schemas/errorBody"}}},
		}
	}
	return responses
}

// schema is the schema of a type. Answers may have further fields in later versions,
// requests may not.
func (d *describer) schema(of reflect.Type, open bool) object {
	switch of {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return object{"type": "integer", "format": "int64", "description": "nanoseconds"}
	case reflect.TypeFor[netip.Addr]():
		return object{"type": "string", "description": "an IP address"}
	case reflect.TypeFor[object]():
		return object{"type": "object"}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return d.schema(of.Elem(), open)
	case reflect.Struct:
		return d.structure(of, open)
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(of.Elem(), open)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(of.Elem(), open)}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int64, reflect.Int:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		return object{"type": "integer", "minimum": 0}
	default:
		panic(fmt.Sprintf("no schema of %s", of))
	}
}

func (d *describer) structure(of reflect.Type, open bool) object {
	reference := object{"$ref": "#/components/schemas/" + of.Name()}
	if _, done := d.schemas[of.Name()]; done {
		return reference
	}
	schema := object{"type": "object"}
	d.schemas[of.Name()] = schema // before its fields: a type may be its own part
	properties, required := object{}, []string{}
	d.fields(of, open, properties, &required)
	if len(properties) > 0 {
		schema["properties"] = properties
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	if !open {
		schema["additionalProperties"] = false
	}
	if words := d.words[of.Name()]; words != "" {
		schema["description"] = words
	}
	return reference
}

func (d *describer) fields(of reflect.Type, open bool, properties object, required *[]string) {
	for field := range of.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			d.fields(field.Type, open, properties, required)
			continue
		}
		if !field.IsExported() || name == "-" {
			continue
		}
		schema := d.schema(field.Type, open)
		optional := strings.Contains(options, "omit")
		kind := field.Type.Kind()
		if !optional && (kind == reflect.Slice || kind == reflect.Map) {
			schema["nullable"] = true // of none, encoding/json makes null
		}
		if words := d.words[of.Name()+"."+field.Name]; words != "" {
			if schema["$ref"] != nil {
				schema = object{"allOf": []object{schema}}
			}
			schema["description"] = strings.TrimSpace(words + unit(schema))
		}
		properties[name] = schema
		if open && !optional {
			*required = append(*required, name)
		}
	}
}

func unit(schema object) string {
	if schema["description"] == "nanoseconds" {
		return " In nanoseconds."
	}
	return ""
}

// comments are those of the types and fields that go over the socket. Where one
// comment is about several fields, it is that of the first.
func comments(t *testing.T) map[string]string {
	t.Helper()
	words := map[string]string{}
	for _, pattern := range []string{"*.go", "../*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range file.Decls {
				if types, ok := declaration.(*ast.GenDecl); ok && types.Tok == token.TYPE {
					commentsOf(types, words)
				}
			}
		}
	}
	return words
}

func commentsOf(declaration *ast.GenDecl, words map[string]string) {
	for _, spec := range declaration.Specs {
		kind, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		words[kind.Name.Name] = sentence(declaration.Doc, kind.Doc)
		structure, ok := kind.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				words[kind.Name.Name+"."+name.Name] = sentence(field.Doc, field.Comment)
			}
		}
	}
}

func sentence(groups ...*ast.CommentGroup) string {
	for _, group := range groups {
		if text := strings.Join(strings.Fields(group.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}
