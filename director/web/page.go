package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director/control"
)

// assets are the files of the page.
//
//go:embed assets
var assets embed.FS

// build names this version of the assets: a page of another one loads itself anew.
var build = sync.OnceValue(func() string {
	sum := sha256.New()
	entries, _ := assets.ReadDir("assets")
	for _, entry := range entries {
		text, _ := assets.ReadFile("assets/" + entry.Name())
		sum.Write([]byte(entry.Name()))
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
})

// assetTypes are the kinds of files that are served.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// serveAsset answers with a file of the page, which everybody may see. A browser
// keeps it and asks each time whether it has changed.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	kind := assetTypes[path.Ext(name)]
	text, err := assets.ReadFile("assets/" + name)
	if kind == "" || err != nil {
		refuse(w, control.CodeUnknownPath, "there is no "+r.URL.Path)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"`+build()+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}

// page answers with the page, which has no data in it.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	if len(s.Users) > 0 && s.signed(r) == nil {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	text, err := assets.ReadFile("assets/index.html")
	if err != nil {
		control.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text)
}

var signInTemplate = sync.OnceValues(func() (*template.Template, error) {
	return template.ParseFS(assets, "assets/signin.html")
})

// writeSignIn answers with the form, which needs no script.
func writeSignIn(w http.ResponseWriter, status int, message string) {
	form, err := signInTemplate()
	if err != nil {
		control.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = form.Execute(w, struct{ Message string }{message})
}
