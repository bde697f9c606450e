package web

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// artefactsVariable names the directory for screenshots.
	artefactsVariable = "LVSD_TEST_ARTEFACTS"
	// patience is how long a slow machine may take for anything.
	patience = 3 * time.Minute
)

// browser is a real one, for all tests of the page.
type browser struct {
	ctx context.Context
	// shots is the directory for screenshots.
	shots string
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	lab.Require(t, lab.NeedChromium)
	directory, err := os.MkdirTemp("", "lvsd-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	shots := os.Getenv(artefactsVariable)
	if shots == "" {
		shots = t.TempDir()
	}
	shots = filepath.Join(shots, "screenshots")
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(directory),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1440, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {})) // of events that it knows nothing of
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		lab.Missing(t, lab.NeedChromium, err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return &browser{ctx, shots}
}

// tab is a window of its own, without the cookies of others.
type tab struct {
	*testing.T
	// ctx ends with patience, last with the tab.
	ctx, last context.Context
	shots     string
	// faults are errors of the page's scripts, and what its policy refused.
	faults chan string
}

func (b *browser) open(t *testing.T, width, height int64, address string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(b.window(t)))
	t.Cleanup(cancel)
	last := ctx
	if err := chromedp.Run(last); err != nil { // the first one's context is the tab's
		t.Fatalf("browser: %v", err)
	}
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	one := &tab{t, ctx, last, b.shots, make(chan string, 100)}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *cdpruntime.EventExceptionThrown:
			one.fault(e.ExceptionDetails.Error())
		case *page.EventJavascriptDialogOpening:
			one.fault("a dialog opened: " + e.Message)
		}
	})
	one.run(chromedp.EmulateViewport(width, height), chromedp.Navigate("http://"+address+"/"))
	return one
}

// window makes an empty window.
func (b *browser) window(t *testing.T) (id target.ID) {
	t.Helper()
	ask := cdp.WithExecutor(b.ctx, chromedp.FromContext(b.ctx).Browser)
	apart, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	id, err = target.CreateTarget("about:blank").WithBrowserContextID(apart).WithNewWindow(true).Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (o *tab) fault(text string) {
	select {
	case o.faults <- text:
	default:
	}
}

func (o *tab) run(actions ...chromedp.Action) {
	o.Helper()
	if err := chromedp.Run(o.ctx, actions...); err != nil {
		o.Fatalf("browser: %v", err)
	}
}

// ask evaluates an expression in the page.
func (o *tab) ask(expression string, into any) {
	o.Helper()
	o.run(chromedp.Evaluate(expression, into))
}

// until waits until an expression is true in the page.
func (o *tab) until(what, expression string) {
	o.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		var is bool
		err := chromedp.Run(o.ctx, chromedp.Evaluate("Boolean("+expression+")", &is))
		if is {
			return
		}
		select {
		case <-ticker.C:
		case <-o.ctx.Done():
			var text string
			last, cancel := context.WithTimeout(o.last, 10*time.Second)
			defer cancel()
			_ = chromedp.Run(last, chromedp.Evaluate("document.body.innerText", &text))
			o.well()
			o.Fatalf("waited for %s: %v\n%s", what, err, text)
		}
	}
}

// untilText waits until an element has the text in it.
func (o *tab) untilText(selector, text string) {
	o.Helper()
	want, _ := json.Marshal(text)
	o.until(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%s))", selector, want))
}

// press clicks on the element as a script would, wherever it is.
func (o *tab) press(selector string) {
	o.Helper()
	o.until(selector, fmt.Sprintf("document.querySelector(%q)", selector))
	o.ask(fmt.Sprintf("document.querySelector(%q).click()", selector), nil)
}

// shot keeps a screenshot.
func (o *tab) shot(name string) {
	o.Helper()
	var picture []byte
	o.run(chromedp.ActionFunc(func(ctx context.Context) error {
		var err error
		picture, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).WithCaptureBeyondViewport(false).Do(ctx)
		return err
	}))
	if err := os.WriteFile(filepath.Join(o.shots, name+".png"), picture, 0o644); err != nil {
		o.Error(err)
	}
}

// dark has the browser prefer dark pages.
func (o *tab) dark() {
	o.Helper()
	o.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
}

// fits holds the page to the width of its window.
func (o *tab) fits() {
	o.Helper()
	var beyond []string
	o.ask(`document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
		.filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.tagName + "." + e.className + " " + e.innerText?.slice(0, 40))`, &beyond)
	var wide bool
	o.ask("document.documentElement.scrollWidth > innerWidth", &wide)
	if wide {
		o.Errorf("the page is wider than its window: %s", strings.Join(beyond, "; "))
	}
}

// well fails the test for every error of the page.
func (o *tab) well() {
	o.Helper()
	for {
		select {
		case fault := <-o.faults:
			o.Errorf("the page: %s", fault)
		default:
			return
		}
	}
}

// awaited is for an expression that is a promise.
func awaited(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams {
	return p.WithAwaitPromise(true)
}
